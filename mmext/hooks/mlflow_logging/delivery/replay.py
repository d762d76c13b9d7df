"""Sends what earlier sessions left behind, and ends the runs of dead ones."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store, resolve_store
from mmext.hooks.mlflow_logging.delivery.tracking import Tracking

SPOOL_DIR = 'mlflow_spool'


@dataclass(frozen=True)
class Replayed:
    """What became of one spool.

    Attributes:
        spool: its file.
        outcome: ``sent``, ``killed`` (found dead and sent), ``kept``, ``refused`` (once more),
            ``spoiled`` (nobody can tell which run it is of) or ``live``.
        run_id: MLflow's id, where the run is open.
        rejected: how many of its records the server has refused, or could not be read.
        detail: why it was not sent.
    """

    spool: Path
    outcome: str
    run_id: str | None = None
    rejected: int = 0
    detail: str = ''


def replay(folder: Path, tracking_uri: str | None = None) -> Iterator[Replayed]:
    """Send every unfinished spool below a folder, oldest first; sending twice does no harm.

    Args:
        folder: a work folder, its spool folder, or any folder above.
        tracking_uri: send there instead of where the session was going; also
            for a store with a login, which spools do not keep.
    """
    store = resolve_store(tracking_uri, folder) if tracking_uri else None
    for spool in unsent(folder):
        try:
            yield _replayed(spool, store)
        except (Outage, Refusal) as reason:
            yield Replayed(spool.path, 'kept', detail=str(reason))
        except Exception as error:  # whatever is wrong with one must not hold up the others
            yield Replayed(spool.path, 'kept', detail=f'{type(error).__name__}: {error}')
        finally:
            spool.release()


def replay_rejected(folder: Path, tracking_uri: str | None = None) -> Iterator[Replayed]:
    """Send once more what the server has refused, of every spool below a folder.

    Args:
        folder: see :func:`replay`.
        tracking_uri: see :func:`replay`.
    """
    store = resolve_store(tracking_uri, folder) if tracking_uri else None
    for spool in _spools(folder):
        if not spool.rejected_path.exists():
            continue
        if not spool.claim():
            yield Replayed(spool.path, 'live')
            continue
        shipper = Shipper(spool, store=store)
        try:
            shipper.ship_rejected()
            detail = '; '.join({str(record.get('reason')) for record in spool.rejections()})
            outcome = 'refused' if detail else 'sent'
            yield Replayed(spool.path, outcome, shipper.run_id, shipper.rejected, detail)
        except Exception as error:  # see above
            yield Replayed(spool.path, 'kept', shipper.run_id, shipper.rejected, str(error))
        finally:
            spool.release()


def _replayed(spool: Spool, store: Store | None) -> Replayed:
    if spool.header() is None:
        detail = 'its first line names no run, so that nothing of it can be sent'
        return Replayed(spool.path, 'spoiled', detail=detail)
    if not spool.claim():
        return Replayed(spool.path, 'live')
    died = end_if_dead(spool)
    shipper = Shipper(spool, store=store)
    shipper.ship()
    if not shipper.done:
        reason = shipper.hindrance or 'not all of it could be sent'
        return Replayed(spool.path, 'kept', shipper.run_id, shipper.rejected, reason)
    outcome = 'killed' if died else 'sent'
    detail = f'see {spool.rejected_path}' if shipper.rejected else ''
    return Replayed(spool.path, outcome, shipper.run_id, shipper.rejected, detail)


def unsent(folder: Path, key: str | None = None) -> Iterator[Spool]:
    """Spools below a folder that are not sent to their end, oldest first, spoiled ones last.

    Args:
        folder: where to look, at any depth.
        key: only those of this run.
    """
    found = []
    for spool in _spools(folder):
        if spool.load_state().get('done') or spool.path.stat().st_size == 0:
            continue
        run = (spool.header() or {}).get('run', {})
        if key is None or run.get('key') == key:
            start = run.get('start_ms')
            found.append((start if isinstance(start, int) else math.inf, str(spool.path), spool))
    for *_, spool in sorted(found, key=lambda entry: entry[:2]):
        yield spool


def _spools(folder: Path) -> Iterator[Spool]:
    inside = folder.name == SPOOL_DIR
    for path in folder.glob('*.jsonl') if inside else folder.rglob(f'{SPOOL_DIR}/*.jsonl'):
        if not path.name.endswith('.rejected.jsonl'):
            yield Spool(path)


def end_if_dead(spool: Spool) -> bool:
    """Write the end of a session that could not do so itself; the spool must be claimed."""
    if spool.is_closed():
        return False
    last_sign_ms = int(spool.path.stat().st_mtime * 1000)
    spool.append([{**records.close('KILLED'), 'time_ms': last_sign_ms}])
    return True


def reap(tracking_uri: str, stale_after_s: float = 1800.0) -> Iterator[str]:
    """End runs on a server whose process has not been heard of, for spools out of reach.

    Args:
        tracking_uri: the server.
        stale_after_s: silence after which a running run counts as dead.

    Yields:
        The ids of the runs that were marked KILLED.

    Raises:
        Outage: the server does not answer.
        Refusal: it does not let us.
    """
    tracking = Tracking(Store(tracking_uri, None))
    for run_id, tags in tracking.running_runs():
        beat_ms = int(tags.get('mmext.heartbeat', 0))
        if beat_ms and time.time() - beat_ms / 1000 > stale_after_s:
            tracking.terminate(run_id, 'KILLED', beat_ms)
            yield run_id


def describe(result: Replayed) -> str:
    """One line for people."""
    facts = {'run': result.run_id, 'refused': result.rejected, 'why': result.detail}
    extra = {key: value for key, value in facts.items() if value}
    return f'{result.outcome:7} {result.spool}' + (f' {json.dumps(extra)}' if extra else '')
