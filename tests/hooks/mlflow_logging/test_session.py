"""The beginning of a session."""

import logging
import threading
from pathlib import Path

import pytest

from mmext.hooks.mlflow_logging.continuation import LoadedCheckpoint
from mmext.hooks.mlflow_logging.delivery.identity import HUB_KEY, RunIdentity
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


@pytest.mark.parametrize(
    'content',
    [b'', b'{"key": "', b'[]', b'{}', b'{"key": 5}', b'{"key": "../../x"}', b'[' * 100_000, None],
)
def test_a_spoiled_sidecar_is_as_none(content: bytes | None, tmp_path: Path) -> None:
    run = RunIdentity.new('id')
    run.save(tmp_path)
    assert RunIdentity.load(tmp_path) == RunIdentity(run.key, 'id')
    sidecar = tmp_path / 'mlflow_run.json'
    sidecar.unlink()
    if content is None:
        sidecar.mkdir()
    else:
        sidecar.write_bytes(content)
    assert RunIdentity.load(tmp_path) is None


@pytest.mark.parametrize(
    'hub', [None, 'x', [], {'runtime_info': 3}, {'runtime_info': {HUB_KEY: '/x'}}]
)
def test_a_checkpoint_that_says_nothing_of_its_run_is_of_none(hub: object) -> None:
    assert LoadedCheckpoint.of({'message_hub': hub, 'meta': {'iter': 'x'}}) == LoadedCheckpoint()


@pytest.mark.parametrize('content', [b'[1]', b'"x"', b'[' * 100_000, b'null', None])
def test_a_spoiled_state_is_the_beginning(content: bytes | None, tmp_path: Path) -> None:
    spool = Spool(tmp_path / 'a.jsonl')
    spool.save_state({'offset': 7})
    assert spool.load_state() == {'offset': 7}
    (state,) = tmp_path.glob('*.state.json')
    state.unlink()
    if content is None:
        state.mkdir()
    else:
        state.write_bytes(content)
    assert spool.load_state() == {}
