"""One process' part in a run, from opening the spool to its end.

A run has one session when all goes well, and one more for every resume and for
every test of its checkpoints. This file knows neither torch nor mmengine.
"""

import importlib.util
import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmext.errors import MissingPackageError
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.identity import RunIdentity
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.redaction import Redactor
from mmext.hooks.mlflow_logging.delivery.replay import SPOOL_DIR, end_if_dead, unsent
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store
from mmext.hooks.mlflow_logging.delivery.writer import RunWriter


@dataclass(frozen=True)
class SessionOptions:
    """What a session is to be called and where it goes.

    Attributes:
        work_dir: folder of the sidecar and the spool.
        name: name of the session, unique in its work folder with the mode.
        mode: ``train``, ``val`` or ``test``.
        store: the tracking store.
        experiment: MLflow's experiment.
        run_name: name of the run if this session creates it.
        tags: tags of a new run.
        parent: parent run, id or group name.
        sample: source of system metrics.
        sample_every_s: seconds between two samples.
    """

    work_dir: Path
    name: str
    mode: str
    store: Store
    experiment: str
    run_name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    sample: Callable[[], Mapping[str, float]] | None = None
    sample_every_s: float = 10.0


def check_installed() -> None:
    """Look for MLflow, which takes seconds to import, without importing it.

    Raises:
        MissingPackageError: it is not there.
    """
    if importlib.util.find_spec('mlflow') is None:
        raise MissingPackageError(
            "mmext.MLflowHook needs mlflow: pip install 'mlflow>=3.8,<4', or take the hook "
            'out of default_hooks'
        )


def start_session(
    options: SessionOptions,
    identity: RunIdentity,
    redactor: Redactor,
    on_open: Callable[[str], None],
    logger: logging.Logger,
) -> tuple[RunWriter, Spool]:
    """Open the spool and start sending; never waits for the server.

    Args:
        options: name and place.
        identity: the run to continue or to create.
        redactor: hides credentials in all that is written.
        on_open: called on another thread with MLflow's id once it is known.
        logger: for warnings.
    """
    import mlflow  # noqa: F401 - before there are threads: two imports at a time can wait for each other

    folder = options.work_dir / SPOOL_DIR
    spool = _claimed(folder, f'{options.name}_{options.mode}')

    def opened(run_id: str) -> None:
        identity.run_id = run_id
        try:
            identity.save(options.work_dir)
        except OSError as error:  # a full disk; the key finds the run as well
            logger.warning(f'MLflow: the id of the run, {run_id}, cannot be noted: {error}')
        on_open(run_id)

    identity.save(options.work_dir)
    store = options.store  # with its login, which the spool does not keep
    before = [Shipper(old, store=store) for old in _left_behind(folder, identity.key)]
    spool.append([redactor.record(_open_record(options, identity, spool.path.stem))])
    writer = RunWriter(
        spool,
        Shipper(spool, on_open=opened, store=store),
        before=before,
        redact=redactor.record,
        sample=options.sample,
        sample_every_s=options.sample_every_s,
        logger=logger,
    )
    return writer, spool


def _left_behind(folder: Path, key: str) -> Iterator[Spool]:
    """What dead sessions of the same run have not sent: it goes first."""
    for spool in unsent(folder, key):
        if spool.claim():
            end_if_dead(spool)
            spool.release()
            yield spool


def _open_record(options: SessionOptions, identity: RunIdentity, session: str) -> Record:
    return {
        'kind': 'open',
        'version': 1,
        'mode': options.mode,
        'tracking_uri': options.store.tracking_uri,
        'artifact_location': options.store.artifact_location,
        'host': socket.gethostname(),
        'pid': os.getpid(),
        'run': {
            'key': identity.key,
            'session': session,
            'run_id': identity.run_id,
            'continues': identity.continues,
            'experiment': options.experiment,
            'name': options.run_name,
            'start_ms': records.now_ms(),
            'tags': dict(options.tags),
            'parent': options.parent,
        },
    }


def _claimed(folder: Path, stem: str) -> Spool:
    """A new spool of our own, also where several sessions of one name start in one moment."""
    for number in itertools.count(1):
        path = folder / (f'{stem}.jsonl' if number == 1 else f'{stem}_{number}.jsonl')
        if path.exists():
            continue
        spool = Spool(path)
        if spool.claim():
            if path.stat().st_size == 0:
                return spool
            spool.release()  # it has come and gone meanwhile
    raise AssertionError
