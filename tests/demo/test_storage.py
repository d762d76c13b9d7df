"""A set is there whole or not at all, and other people's files are never touched."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmext.demo.storage import STALE_AFTER_SECONDS, STAMP, SUMS, set_digest, store_set
from mmext.errors import InputError


def write_two(folder: Path) -> None:
    (folder / 'sub').mkdir()
    (folder / 'a.txt').write_text('a')
    (folder / 'sub' / 'b.txt').write_text('b')


def never(folder: Path) -> None:
    raise AssertionError('must not be written again')


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()}


def test_written_once_and_then_found(tmp_path: Path) -> None:
    root = tmp_path / 'deep' / 'set'
    assert store_set(root, {'seed': 1}, write_two)
    assert listing(root) == {'a.txt', 'sub/b.txt', SUMS, STAMP}
    assert not store_set(root, {'seed': 1}, never)
    (root / 'notes.txt').write_text('of the user')  # more files do not matter
    assert not store_set(root, {'seed': 1}, never)
    assert os.listdir(root.parent) == ['set']


def test_an_empty_folder_and_a_link_to_one_are_filled(tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'empty')
    assert store_set(tmp_path / 'link', {}, write_two)
    assert (tmp_path / 'empty' / 'a.txt').exists()


@pytest.mark.parametrize('overwrite', [False, True])
def test_foreign_files_are_refused_even_with_overwrite(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(InputError, match='no generated set'):
        store_set(tmp_path, {}, never, overwrite)
    assert listing(tmp_path) == {'thesis.tex'}


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'set').write_text('a file')
    with pytest.raises(InputError, match='no generated set'):
        store_set(tmp_path / 'set', {}, never)


def test_another_set_is_named_and_replaced_on_demand(tmp_path: Path) -> None:
    root = tmp_path / 'set'
    store_set(root, {'seed': 1, 'size': 2}, write_two)
    with pytest.raises(InputError, match='another generated set: seed 1 instead of 5;'):
        store_set(root, {'seed': 5, 'size': 2}, never)
    assert store_set(root, {'seed': 5}, lambda folder: (folder / 'c.txt').touch(), overwrite=True)
    assert listing(root) == {'c.txt', SUMS, STAMP}
    assert os.listdir(tmp_path) == ['set']


@pytest.mark.parametrize('damage', ['changed', 'lost', 'sums'])
def test_damage_is_found(tmp_path: Path, damage: str) -> None:
    root = tmp_path / 'set'
    store_set(root, {}, write_two)
    if damage == 'changed':
        (root / 'a.txt').write_text('x')
    else:
        (root / ('a.txt' if damage == 'lost' else SUMS)).unlink()
    with pytest.raises(InputError, match='changed or lost'):
        store_set(root, {}, never)
    assert store_set(root, {}, write_two, overwrite=True)
    assert (root / 'a.txt').read_text() == 'a'


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        write_two(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_set(tmp_path / 'set', {}, interrupted)
    assert os.listdir(tmp_path) == []


def test_a_failing_overwrite_keeps_the_old_set(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError('disk full')

    store_set(tmp_path / 'set', {'seed': 1}, write_two)
    with pytest.raises(OSError, match='disk full'):
        store_set(tmp_path / 'set', {'seed': 2}, full, overwrite=True)
    assert not store_set(tmp_path / 'set', {'seed': 1}, never)


def test_leftovers_of_killed_runs_are_swept_when_old(tmp_path: Path) -> None:
    old, young = tmp_path / '.set.mmext-draft-1', tmp_path / '.set.mmext-draft-2'
    for folder in (old, young):
        folder.mkdir()
    past = time.time() - STALE_AFTER_SECONDS - 9
    os.utime(old, (past, past))
    store_set(tmp_path / 'set', {}, write_two)
    assert sorted(os.listdir(tmp_path)) == ['.set.mmext-draft-2', 'set']


def test_the_first_of_two_writers_wins_and_the_second_takes_its_set(tmp_path: Path) -> None:
    root = tmp_path / 'set'

    def overtaken(folder: Path) -> None:
        write_two(folder)
        assert store_set(root, {'seed': 1}, write_two)

    assert not store_set(root, {'seed': 1}, overtaken)
    assert os.listdir(tmp_path) == ['set']


def test_a_second_writer_with_another_set_fails_clearly(tmp_path: Path) -> None:
    root = tmp_path / 'set'

    def overtaken(folder: Path) -> None:
        store_set(root, {'seed': 2}, write_two)

    with pytest.raises(InputError, match='another generated set'):
        store_set(root, {'seed': 1}, overtaken)


_STORE = """
import sys
from pathlib import Path
from mmext.demo.storage import store_set

def write_two(folder):
    (folder / 'sub').mkdir()
    (folder / 'a.txt').write_text('a')
    (folder / 'sub' / 'b.txt').write_text('b')

print('ready', flush=True)
sys.stdin.readline()
store_set(Path(sys.argv[1]), {'seed': 1}, write_two)
"""


def test_processes_at_once(tmp_path: Path) -> None:
    command = [sys.executable, '-c', _STORE, str(tmp_path / 'set')]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    workers = [subprocess.Popen(command, **pipes) for _ in range(4)]
    stop = threading.Timer(60, lambda: [worker.kill() for worker in workers])
    stop.start()  # a worker that hangs ends, and the test with it
    try:
        for worker in workers:
            assert worker.stdout.readline() == 'ready\n'
        for worker in workers:
            worker.communicate('go\n')
    finally:
        stop.cancel()
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0] * 4
    assert os.listdir(tmp_path) == ['set']


def test_digest_follows_the_content(tmp_path: Path) -> None:
    store_set(tmp_path / 'a', {}, write_two)
    store_set(tmp_path / 'b', {'other': 'stamp'}, write_two)
    store_set(tmp_path / 'c', {}, lambda folder: (folder / 'a.txt').write_text('a'))
    digests = [set_digest(tmp_path / name) for name in 'abc']
    assert digests[0] == digests[1] != digests[2]
