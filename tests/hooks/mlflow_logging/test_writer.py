"""What the training thread meets; the server is one that never answers."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.delivery import records, writer
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.writer import RunWriter


class _Hanging:
    """A shipper whose server takes the connection and says nothing."""

    done, offset, rejected, left, hindrance = False, 0, 0, 0, None

    def __init__(self) -> None:
        self.released = threading.Event()

    def ship(self) -> None:
        self.released.wait(30)
        raise Outage

    def beat(self) -> None:
        raise AssertionError


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / 'a.jsonl')
    spool.claim()
    return spool


@pytest.fixture
def shipper() -> Iterator[Any]:
    shipper = _Hanging()
    yield shipper
    shipper.released.set()


def _stored(spool: Spool) -> list[Record]:
    return [record for record, _ in spool.read(0, 10**6)]


def test_a_hanging_server_does_not_keep_records_from_the_disk(spool: Spool, shipper: Any) -> None:
    out = RunWriter(spool, shipper)
    out.put(records.metrics({'x': 1.0}, 1))
    deadline = time.monotonic() + 10
    while not _stored(spool) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [record['step'] for record in _stored(spool)] == [1]
    out.close('KILLED', limit_s=0.1)
    assert _stored(spool)[-1]['kind'] == 'close'


def test_the_queue_is_bounded(spool: Spool, shipper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, '_SPOOL_EVERY_S', 1000.0)
    monkeypatch.setattr(writer, '_CAPACITY', 100)
    out = RunWriter(spool, shipper)
    for step in range(1000):
        out.put(records.metrics({'x': 1.0}, step))
        assert len(out._queue) <= 101
    out.close('KILLED', limit_s=0.0)
    steps = [record['step'] for record in _stored(spool) if record['kind'] == 'metrics']
    assert steps == list(range(1000))


def test_a_long_job_does_not_keep_records_from_the_disk(spool: Spool, shipper: Any) -> None:
    end = threading.Event()

    def job() -> Iterator[Record]:
        assert end.wait(30)
        yield records.tags({'made': 1})

    out = RunWriter(spool, shipper)
    out.put(job)
    out.put(records.metrics({'x': 1.0}, 1))
    deadline = time.monotonic() + 10
    while not _stored(spool) and time.monotonic() < deadline:
        time.sleep(0.01)
    end.set()
    out.close('FINISHED', limit_s=0.0)
    assert [record['kind'] for record in _stored(spool)] == ['metrics', 'tags', 'close']


def test_a_job_that_fails_is_a_warning(
    spool: Spool, shipper: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def job() -> Iterator[Record]:
        raise ValueError('no picture')

    out = RunWriter(spool, shipper)
    out.put(job)
    out.put(records.tags({'after': 1}))
    out.close('KILLED', limit_s=0.0)
    assert 'no picture' in caplog.text
    assert _stored(spool)[0]['values'] == {'after': '1'}


def test_records_are_masked_before_they_reach_the_disk(spool: Spool, shipper: Any) -> None:
    out = RunWriter(spool, shipper, redact=lambda record: {**record, 'content': '***'})
    out.put(records.text('secret', 'a.txt'))
    out.close('KILLED', limit_s=0.0)
    assert b'secret' not in spool.path.read_bytes()


def test_closing_waits_for_a_dead_server_only_so_long(
    spool: Spool, shipper: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shipper.released.set()
    out = RunWriter(spool, shipper)
    start = time.monotonic()
    assert not out.close('FINISHED', patience_s=0.2)
    assert time.monotonic() - start < 10
    assert 'mlflow_replay.py' in caplog.text
    out.put(records.tags({'late': 1}))
    out.close('FAILED')
    assert _stored(spool)[-1]['status'] == 'FINISHED', 'the first end counts'


def test_a_full_disk_costs_neither_the_training_nor_the_log(
    spool: Spool, shipper: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shipper.released.set()
    full = threading.Event()
    full.set()
    append = spool.append

    def append_if_room(lines: Any) -> None:
        if full.is_set():
            raise OSError(28, 'No space left on device')
        append(lines)

    monkeypatch.setattr(spool, 'append', append_if_room)
    out = RunWriter(spool, shipper)
    out.put(records.metrics({'x': 1.0}, 1))
    deadline = time.monotonic() + 10
    while 'No space left' not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 'waits in memory' in caplog.text
    full.clear()
    out.put(records.metrics({'x': 2.0}, 2))
    out.close('FINISHED', limit_s=1.0)
    assert [record.get('step') for record in _stored(spool)] == [1, 2, None]


def test_a_job_that_hangs_does_not_hold_up_the_end(
    spool: Spool, shipper: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shipper.released.set()
    begun, end = threading.Event(), threading.Event()

    def job() -> Iterator[Record]:
        begun.set()
        end.wait(30)
        yield records.tags({'late': 1})

    out = RunWriter(spool, shipper)
    out.put(job)
    assert begun.wait(10)
    start = time.monotonic()
    out.close('KILLED', limit_s=1.0)
    assert time.monotonic() - start < 10
    end.set()
    assert _stored(spool)[-1]['kind'] == 'close'
    assert 'hangs and is left out' in caplog.text


class _Refusing(_Hanging):
    def ship(self) -> None:
        raise Refusal('no such experiment')


class _Taking(_Hanging):
    done, rejected = True, 2

    def ship(self) -> None:
        self.released.set()

    def beat(self) -> None: ...


def test_an_earlier_session_that_is_refused_does_not_hold_up_this_one(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    own: Any = _Taking()
    out = RunWriter(spool, own, before=[_Refusing()])  # type: ignore[list-item]
    assert out.close('FINISHED', patience_s=0.2)
    assert own.released.is_set()
    assert 'no such experiment' in caplog.text


def test_what_the_server_refused_is_said_at_the_end(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    taking: Any = _Taking()
    RunWriter(spool, taking).close('FINISHED')
    assert f'refused 2 records; they are kept, with the reasons, in {spool.path.parent}' in (
        caplog.text
    )


def test_a_spool_that_somebody_deletes_is_a_warning(
    spool: Spool, shipper: Any, caplog: pytest.LogCaptureFixture
) -> None:
    spool.append([records.tags({'before': 1})])
    spool.path.unlink()
    out = RunWriter(spool, shipper)
    deadline = time.monotonic() + 10
    while 'was deleted' not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert str(spool.path) in caplog.text
    out.put(records.tags({'after': 1}))
    out.close('KILLED', limit_s=0.0)
    before, after, end = _stored(spool)
    assert (before['values'], after['values'], end['kind']) == (
        {'before': '1'}, {'after': '1'}, 'close',
    )  # fmt: skip
