import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.spool import Spool


def test_records_come_back_in_order_from_any_offset(tmp_path: Path) -> None:
    spool = Spool(tmp_path / 'deep' / 'a.jsonl')
    assert spool.claim()
    written = [{'kind': 'x', 'value': i, 'inf': float('inf')} for i in range(5)]
    spool.append(written[:2])
    spool.append(written[2:])

    read = list(spool.read(0))
    assert [record for record, _ in read] == written
    for index, (_, offset) in enumerate(read):
        assert [record for record, _ in spool.read(offset)] == written[index + 1 :]
    assert [record for record, _ in spool.read(0, limit=2)] == written[:2]
    assert not spool.is_closed()
    spool.append([records.close('KILLED'), written[0]])
    assert spool.is_closed()


def test_a_line_cut_off_is_not_read_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / 'a.jsonl'
    path.write_bytes(b'{"kind": "a"}\n{"kind":')
    spool = Spool(path)
    assert [record for record, _ in spool.read(0)] == [{'kind': 'a'}]
    assert spool.claim()
    spool.append([{'c': 3}])
    assert path.read_bytes() == b'{"kind": "a"}\n{"c": 3}\n'


def test_the_lock_lives_as_long_as_the_process(
    tmp_path: Path, run_to_end: Callable[..., Any]
) -> None:
    path = tmp_path / 'a.jsonl'
    code = (
        'import os, sys; from pathlib import Path\n'
        'from mmext.hooks.mlflow_logging.delivery.spool import Spool\n'
        'assert Spool(Path(sys.argv[1])).claim(); os._exit(7)'
    )
    assert run_to_end([sys.executable, '-c', code, path]).returncode == 7
    first, second = Spool(path), Spool(path)
    assert first.claim()
    assert not second.claim()
    first.release()
    assert second.claim()
    with pytest.raises(RuntimeError, match='not claimed'):
        first.append([])


def test_only_own_files_are_deleted(tmp_path: Path) -> None:
    spool, foreign = Spool(tmp_path / 'a.jsonl'), tmp_path / 'b'
    foreign.write_text('mine')
    own = spool.store_file(b'x', 'own')
    spool.discard_file(foreign)
    spool.discard_file(own)
    assert foreign.exists() and not own.exists()


def test_state_is_replaced_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path / 'a.jsonl')
    assert spool.load_state() == {}
    spool.save_state({'offset': 3})
    assert Spool(tmp_path / 'a.jsonl').load_state() == {'offset': 3}


def test_a_full_disk_leaves_no_torn_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path / 'a.jsonl')
    spool.claim()
    spool.append([{'kind': 'a'}])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match='too large'):
            spool.append([{'text': 'x' * 2000}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    spool.append([{'kind': 'b'}])
    assert [record for record, _ in spool.read(0)] == [{'kind': 'a'}, {'kind': 'b'}]


@pytest.mark.parametrize(
    'line', [b'\0\0\0', b'5', b'[]', b'{}', b'"close"', b'{"kind": 1}', b'[' * 100_000, b'\xff{']
)
def test_a_spoiled_line_is_told_from_a_record(line: bytes, tmp_path: Path) -> None:
    spool = Spool(tmp_path / 'a.jsonl')
    a, b = {'kind': 'a'}, {'kind': 'b', 'x': 1}
    spool.path.write_bytes(b'{"kind": "a"}\n' + line + b'\n{"kind": "b", "x": 1}\n')
    (first, _), (spoiled, behind), (last, _) = spool.read(0)
    assert (first, spoiled['kind'], last) == (a, 'spoiled', b)
    assert [record for record, _ in spool.read(behind)] == [b]
    assert not spool.is_closed()


def test_a_spool_that_is_deleted_cut_or_replaced_goes_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path / 'deep' / 'a.jsonl')
    spool.claim()
    header, first, second = {'kind': 'open'}, {'kind': 'a'}, {'kind': 'b'}
    spool.append([header, first])
    assert spool.mend() is None
    shutil.rmtree(tmp_path / 'deep')
    assert 'deleted' in (spool.mend() or '')
    assert not Spool(spool.path).claim(), 'the lock is on the new file'
    spool.append([second])
    assert [record for record, _ in spool.read(0)] == [header, first, second]
    (tmp_path / 'other').write_text('other\n')
    (tmp_path / 'other').replace(spool.path)
    assert 'replaced' in (spool.mend() or '') and spool.generation == 0
    assert [record for record, _ in spool.read(0)] == [header, first, second]
    spool.path.write_bytes(b'')
    assert 'cut by' in (spool.mend() or '') and spool.generation == 1
    spool.append([second])
    assert spool.mend() is None
    assert [record for record, _ in spool.read(0)] == [header, second]


def test_a_spoiled_state_counts_as_none(tmp_path: Path) -> None:
    spool = Spool(tmp_path / 'a.jsonl')
    spool.save_state({'offset': 3})
    for spoiled in (b'', b'\0' * 9, b'{"off'):
        (tmp_path / 'a.state.json').write_bytes(spoiled)
        assert spool.load_state() == {}


def test_files_are_found_where_the_folder_is_now(tmp_path: Path) -> None:
    spool, gone = Spool(tmp_path / 'a.jsonl'), tmp_path / 'before' / 'x'
    assert spool.locate(gone) == gone
    own = spool.store_file(b'x', 'x')
    assert spool.locate(gone) == own
    elsewhere = tmp_path / 'x'
    elsewhere.touch()
    assert spool.locate(elsewhere) == elsewhere
