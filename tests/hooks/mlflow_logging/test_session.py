"""The beginning of a session."""

import logging
import threading
from pathlib import Path

from mmext.hooks.mlflow_logging.delivery.identity import RunIdentity
from mmext.hooks.mlflow_logging.delivery.redaction import Redactor
from mmext.hooks.mlflow_logging.delivery.session import SessionOptions, start_session
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store


def test_sessions_that_start_in_one_moment_do_not_share_a_spool(tmp_path: Path) -> None:
    """Two trainings in one work folder, by mistake: each is a run of its own."""
    options = SessionOptions(tmp_path, 'now', 'train', Store('http://127.0.0.1:9', None), 'e', 'n')
    together, spools, errors = threading.Barrier(8), [], []

    def start() -> None:
        together.wait()
        try:
            writer, spool = start_session(
                options, RunIdentity.new(), Redactor(), lambda run_id: None, logging.getLogger()
            )
            spools.append(spool)
            writer.close('FINISHED', 0.0, 0.0)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert len({spool.path for spool in spools}) == 8
    keys = [
        [r['run']['key'] for r, _ in Spool(s.path).read(0) if r['kind'] == 'open'] for s in spools
    ]
    assert len({key for (key,) in keys}) == 8


def test_a_spoiled_sidecar_is_as_none(tmp_path: Path) -> None:
    run = RunIdentity.new('id')
    run.save(tmp_path)
    assert RunIdentity.load(tmp_path) == RunIdentity(run.key, 'id')
    (tmp_path / 'mlflow_run.json').write_bytes(b'')
    assert RunIdentity.load(tmp_path) is None
