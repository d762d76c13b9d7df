"""Sends what earlier sessions left behind, and ends the runs of dead ones."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store, resolve_store
from mmext.hooks.mlflow_logging.delivery.tracking import Outage, Refusal, Tracking

SPOOL_DIR = 'mlflow_spool'


@dataclass(frozen=True)
class Replayed:
    """What became of one spool: ``sent``, ``killed`` (found dead and sent), ``kept``, ``live``."""

    spool: Path
    outcome: str
    run_id: str | None
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
        if not spool.claim():
            yield Replayed(spool.path, 'live', None)
            continue
        try:
            died = end_if_dead(spool)
            shipper = Shipper(spool, store=store)
            shipper.ship()
            yield Replayed(spool.path, 'killed' if died else 'sent', shipper.run_id)
        except (Outage, Refusal) as reason:
            yield Replayed(spool.path, 'kept', None, str(reason))
        finally:
            spool.release()


def unsent(folder: Path, key: str | None = None) -> Iterator[Spool]:
    """Spools below a folder that are not sent to their end, oldest first.

    Args:
        folder: where to look, at any depth.
        key: only those of this run.
    """
    inside = folder.name == SPOOL_DIR
    found = []
    for path in folder.glob('*.jsonl') if inside else folder.rglob(f'{SPOOL_DIR}/*.jsonl'):
        spool = Spool(path)
        header = next((record for record, _ in spool.read(0, 1)), None)
        if header is None or 'run' not in header or spool.load_state().get('done'):
            continue
        if key is None or header['run']['key'] == key:
            found.append((header['run']['start_ms'], str(path), spool))
    for *_, spool in sorted(found, key=lambda entry: entry[:2]):
        yield spool


def end_if_dead(spool: Spool) -> bool:
    """Write the end of a session that could not do so itself; the spool must be claimed."""
    last = spool.last_record()
    if last is None or last['kind'] == 'close':
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
    facts = {'run': result.run_id, 'why': result.detail or None}
    extra = {key: value for key, value in facts.items() if value}
    return f'{result.outcome:7} {result.spool}' + (f' {json.dumps(extra)}' if extra else '')
