"""A real server behind a proxy that answers in its place: nothing is given up, nothing waits."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from soaking.fault_proxy import Answer

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.answers import Outage
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.writer import RunWriter

_INTERNAL = json.dumps({'error_code': 'INTERNAL_ERROR', 'message': 'disk full'})


@pytest.fixture
def spool(proxy: Any, header: Callable[..., Any], tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / 'mlflow_spool' / 'a.jsonl')
    spool.claim()
    spool.append([header(proxy.uri, name=tmp_path.name)])
    return spool


def _answer(proxy: Any, part: str, status: int, body: str = '', after_s: float = 0.0) -> None:
    answer = Answer(status, body, after_s)
    proxy.fault = lambda method, path: answer if part in f'{method} {path}' else None


def _steps(reader: Any, proxy: Any, shipper: Shipper, key: str = 'x') -> list[int]:
    return [p.step for p in reader(proxy.uri).client.get_metric_history(shipper.run_id, key)]


@pytest.mark.parametrize(
    ('status', 'body'),
    [
        (404, '<html>no such page</html>'),
        (404, '{"message": "no Route matched"}'),
        (404, '{"error_code": 404, "message": "not here"}'),
        (400, '<html>bad request</html>'),
        (413, '<html>too large</html>'),
        (429, ''),
        (500, _INTERNAL),
        (501, ''),
        (502, '<html>bad gateway</html>'),
        (200, 'nonsense'),
        (200, '[]'),
    ],
)
def test_what_is_not_mlflow_refusing_is_an_outage(
    status: int, body: str, spool: Spool, proxy: Any, reader: Any
) -> None:
    spool.append([*(records.metrics({'x': 1.0}, i) for i in range(3)), records.close('FINISHED')])
    _answer(proxy, 'log-batch', status, body)
    shipper = Shipper(spool)
    for _ in range(12):
        with pytest.raises(Outage):
            shipper.ship()
    assert (shipper.rejected, spool.rejections()) == (0, [])

    proxy.fault = lambda method, path: None
    shipper.ship()
    assert shipper.done and shipper.rejected == 0
    assert _steps(reader, proxy, shipper) == [0, 1, 2]


@pytest.mark.parametrize('status', [413, 404, 500])
def test_a_file_that_is_not_taken_holds_nothing_back(
    status: int, spool: Spool, proxy: Any, reader: Any
) -> None:
    for name in ('a.bin', 'b.pth'):
        spool.store_file(name.encode(), name)
    spool.append(
        [
            records.metrics({'x': 1.0}, 1),
            records.file(spool.files_dir / 'a.bin', 'files/a.bin'),
            records.text('hello', 'note.txt'),
            records.checkpoint('last', spool.files_dir / 'b.pth', 'b.pth', step=2),
            records.metrics({'x': 2.0}, 2),
            records.close('FINISHED'),
        ]
    )
    _answer(proxy, 'PUT ', status, '<html>nginx</html>')
    shipper = Shipper(spool)
    shipper.ship()
    client = reader(proxy.uri).client
    assert _steps(reader, proxy, shipper) == [1, 2]
    assert client.get_run(shipper.run_id).info.status == 'FINISHED'
    assert not shipper.done and shipper.left == 3 and shipper.rejected == 0
    assert str(status) in (shipper.hindrance or '')

    proxy.fault = lambda method, path: None
    again = Shipper(spool)  # as the replay does
    again.ship()
    assert again.done and again.left == 0
    found = {entry.path for folder in (None, 'files', 'checkpoints')
             for entry in client.list_artifacts(again.run_id, folder)}  # fmt: skip
    assert {'files/a.bin', 'note.txt', 'checkpoints/b.pth'} <= found
    assert not spool.files_dir.exists()


def test_a_checkpoint_that_a_login_page_took_is_sent_again(
    spool: Spool, proxy: Any, reader: Any
) -> None:
    held = spool.store_file(b'weights', 'b.pth')
    spool.append([records.checkpoint('last', held, 'b.pth', step=2), records.close('FINISHED')])
    _answer(proxy, 'PUT ', 200, '<html>please log in</html>')
    shipper = Shipper(spool)
    shipper.ship()
    assert shipper.left == 1 and held.exists() and 'is not there' in (shipper.hindrance or '')
    proxy.fault = lambda method, path: None
    again = Shipper(spool)
    again.ship()
    (entry,) = reader(proxy.uri).client.list_artifacts(again.run_id, 'checkpoints')
    assert again.done and (entry.path, entry.file_size) == ('checkpoints/b.pth', 7)


def test_a_postponed_file_is_not_forgotten_when_the_server_goes_away(
    spool: Spool, proxy: Any
) -> None:
    spool.append([records.text('hello', 'note.txt'), records.close('KILLED')])
    _answer(proxy, 'PUT ', 413)
    Shipper(spool).ship()
    _answer(proxy, '', 502)
    shipper = Shipper(spool)
    with pytest.raises(Outage):
        shipper.ship()
    assert shipper.left == 1 and Shipper(spool).left == 1
    proxy.fault = lambda method, path: None
    shipper.ship()
    assert shipper.done


@pytest.mark.parametrize('after_s', [0.7, 30.0])
def test_the_end_waits_no_longer_than_it_may(
    after_s: float, spool: Spool, proxy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _answer(proxy, '', 502, after_s=after_s)
    writer = RunWriter(spool, Shipper(spool))
    writer.put(records.metrics({'x': 1.0}, 1))
    start = time.monotonic()
    assert not writer.close('FINISHED', limit_s=3.0)
    assert time.monotonic() - start < 20
    (waiting,) = [text for text in caplog.messages if 'waiting until' in text]
    assert 'kB of records' in waiting and 'mlflow_replay.py' in waiting
    assert 'kept in' in caplog.messages[-1]


def test_the_end_of_a_run_hurries_when_it_is_told_to(spool: Spool, proxy: Any, reader: Any) -> None:
    """Ctrl-C or SIGTERM while a file is being uploaded."""
    shipper = Shipper(spool)
    shipper.ship()
    _answer(proxy, 'PUT ', 502, after_s=20.0)
    writer = RunWriter(spool, shipper)
    writer.put(records.text('hello', 'note.txt'))

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    writer._dispatcher.wait = lambda deadline, tell: interrupt(deadline)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        writer.close('FINISHED')
    run = reader(proxy.uri).client.get_run(shipper.run_id)
    assert run.info.status == 'FINISHED' and run.data.tags['mmext.outcome'] == 'finished'
