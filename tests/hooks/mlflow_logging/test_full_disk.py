"""A disk that is really full, a small one of its own; the store lies elsewhere."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.replay import replay
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store
from mmext.hooks.mlflow_logging.delivery.writer import RunWriter

_STEPS = list(range(40))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f'no disk of its own can be mounted: {mounted.stderr.strip()}')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


@pytest.fixture
def spool(disk: Path, logged: Any, work_dir: Path, header: Callable[..., Any]) -> Spool:
    spool = Spool(disk / 'mlflow_spool' / 'a.jsonl')
    spool.claim()
    spool.append([header(logged.uri, (work_dir / 'artifacts').as_uri())])
    return spool


def _fill(disk: Path) -> Path:
    filler = disk / 'filler'
    with filler.open('wb', buffering=0) as file, pytest.raises(OSError, match='No space'):
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    os.write(file.fileno(), bytes(size))
            except OSError:
                if size == 1:
                    raise
    return filler


def test_all_is_sent_though_the_disk_is_full_to_the_end(
    disk: Path, spool: Spool, logged: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _fill(disk)
    writer = RunWriter(spool, Shipper(spool), ship_every_s=0.1)
    for step in _STEPS:
        writer.put(records.metrics({'train/x': 1.0}, step, once=True))
    writer.put(records.text('hello', 'note.txt'))
    assert writer.close('FINISHED', limit_s=60.0)
    assert logged.steps('train/x') == _STEPS and logged.artifacts() == ['note.txt']
    assert logged.only_run().info.status == 'FINISHED'
    assert 'does not answer' not in caplog.text and 'cannot be noted' in caplog.text


def test_what_a_full_disk_could_not_send_is_replayed(disk: Path, spool: Spool, logged: Any) -> None:
    filler = _fill(disk)
    nowhere = Shipper(spool, store=Store('http://127.0.0.1:9', None))
    writer = RunWriter(spool, nowhere, ship_every_s=0.1)
    for step in _STEPS:
        writer.put(records.metrics({'train/x': 1.0}, step))
    assert not writer.close('FAILED', limit_s=1.0)
    size = spool.path.stat().st_size
    filler.unlink()

    assert [result.outcome for result in replay(disk)] == ['sent']
    assert logged.steps('train/x') == _STEPS
    assert logged.only_run().info.status == 'FAILED'
    assert spool.path.stat().st_size == size, 'they came from the reserve'


def test_the_reserve_is_moved_as_soon_as_there_is_room(disk: Path, spool: Spool) -> None:
    filler = _fill(disk)
    text = 'x' * 5000  # more than a block
    kinds = [{'kind': f'k{number}', 'text': text} for number in range(3)]
    size, before = spool.path.stat().st_size, spool.size
    spool.append(kinds[:1])
    spool.append(kinds[1:2])
    assert spool.path.stat().st_size == size and spool.size > before
    found = list(spool.read(size))
    assert [record for record, _ in found] == kinds[:2]
    assert [record for record, _ in spool.read(found[0][1])] == kinds[1:2]
    with pytest.raises(OSError, match='No space'):
        spool.append([{'kind': 'long', 'text': 'x' * 300_000}])
    filler.unlink()
    spool.append(kinds[2:])
    assert [record for record, _ in spool.read(size)] == kinds
    assert [record for record, _ in spool.read(found[0][1])] == kinds[1:]
    assert spool.size == spool.path.stat().st_size
