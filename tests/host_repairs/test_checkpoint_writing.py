"""Files that are whole or not there, whenever the process is killed."""

import multiprocessing
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import save_checkpoint

from mmext.errors import InputError
from mmext.host_repairs import checkpoint_reading, checkpoint_writing
from mmext.host_repairs.checkpoint_reading import read_checkpoint
from mmext.host_repairs.checkpoint_writing import whole_file

sys.path.insert(0, str(Path(__file__).parent))
from toy_training import toy_runner

NUM_KILLS = 16
SIZE = 2_000_000  # numbers: most of the time is writing


@pytest.fixture(autouse=True)
def _repaired() -> Any:
    checkpoint_reading.repair()
    checkpoint_writing.repair()
    yield
    MMLogger._instance_dict.clear()


def names(folder: Path) -> list[str]:
    """Of the checkpoints in a folder."""
    return sorted(file.name for file in folder.glob('*.pth'))


def test_one_checkpoint_and_the_best_are_kept(tmp_path: Path) -> None:
    toy_runner(tmp_path, 3).train()
    assert names(tmp_path) == ['best_toy_score_epoch_3.pth', 'epoch_3.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_3.pth')
    assert not list(tmp_path.glob('.*'))


def test_nothing_is_deleted_before_the_new_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the training in the second epoch; what the first has saved stays."""
    save, count = torch.save, 0

    def save_or_fail(content: Any, file: Any) -> None:
        nonlocal count
        count += 1
        if count > 3:  # epoch 1, the best one, epoch 1 with its name
            file.write(b'half')
            raise OSError(28, 'No space left on device')
        save(content, file)

    monkeypatch.setattr(torch, 'save', save_or_fail)
    with pytest.raises(OSError, match='No space left'):
        toy_runner(tmp_path, 3).train()
    assert names(tmp_path) == ['best_toy_score_epoch_1.pth', 'epoch_1.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_1.pth')
    assert read_checkpoint(tmp_path / 'epoch_1.pth')['meta']['epoch'] == 1


def test_a_resumed_training_deletes_as_before(tmp_path: Path) -> None:
    toy_runner(tmp_path, 2).train()
    toy_runner(tmp_path, 4, resume=True).train()
    assert names(tmp_path) == ['best_toy_score_epoch_4.pth', 'epoch_4.pth']


def train_on(folder: Path) -> None:
    """Train until the process is killed."""
    toy_runner(folder, 10_000, SIZE).train()


def test_kills_at_any_moment_leave_a_whole_checkpoint_and_a_whole_best(tmp_path: Path) -> None:
    """Real processes, killed in their second to fifth epoch."""
    rng = random.Random(0)
    torn = 0
    for attempt in range(NUM_KILLS):
        folder = tmp_path / str(attempt)
        process = multiprocessing.get_context('fork').Process(target=train_on, args=(folder,))
        process.start()
        try:
            deadline = time.monotonic() + 60
            while not list(folder.glob('best_*.pth')) and time.monotonic() < deadline:
                assert process.is_alive()
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.15))
        finally:
            process.kill()
            process.join()
        torn += bool(list(folder.glob('.*mmext-partial')))
        last = Path((folder / 'last_checkpoint').read_text())
        numbered = [name for name in names(folder) if name.startswith('epoch')]
        best = [name for name in names(folder) if name.startswith('best')]
        assert last.name in numbered and best and len(numbered) <= 2 and len(best) <= 2
        for name in names(folder):
            assert len(read_checkpoint(folder / name)['state_dict']['ballast']) == SIZE
    assert torn  # some were killed while they wrote


def test_a_file_takes_its_place_when_it_is_complete(tmp_path: Path) -> None:
    place = tmp_path / 'x.pth'
    place.write_bytes(b'old')
    with pytest.raises(KeyboardInterrupt), whole_file(place) as file:
        file.write(b'ne')
        raise KeyboardInterrupt
    assert place.read_bytes() == b'old' and os.listdir(tmp_path) == ['x.pth']
    with whole_file(place) as file:
        file.write(b'new')
        assert place.read_bytes() == b'old'
    assert place.read_bytes() == b'new' and os.listdir(tmp_path) == ['x.pth']


def test_a_folder_in_the_place_is_said(tmp_path: Path) -> None:
    (tmp_path / 'x.pth').mkdir()
    with (
        pytest.raises(InputError, match=r'x\.pth is a folder.*move it away'),
        whole_file(tmp_path / 'x.pth') as file,
    ):
        file.write(b'new')
    assert os.listdir(tmp_path) == ['x.pth']


def test_what_killed_writers_left_is_removed_and_what_is_written_is_not(tmp_path: Path) -> None:
    left, fresh = (tmp_path / f'.{name}.pth.1234.mmext-partial' for name in 'ab')
    for file in (left, fresh):
        file.write_bytes(b'half')
    ten_seconds_ago = time.time() - 10
    os.utime(left, (ten_seconds_ago, ten_seconds_ago))  # by a run that was begun again at once
    with whole_file(tmp_path / 'other.pth') as file:
        (written,) = set(tmp_path.glob('.other*'))
        os.utime(written, (0, 0))
        with whole_file(tmp_path / 'x.pth'):
            assert written.exists() and fresh.exists() and not left.exists()
        file.write(b'all')
    assert (tmp_path / 'other.pth').read_bytes() == b'all'


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / 'plain').touch()
    save_checkpoint({'state_dict': {}}, str(tmp_path / 'deep' / 'x.pth'))
    assert (tmp_path / 'deep' / 'x.pth').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_other_places_are_written_as_the_host_does(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r's3|petrel|backend'):
        save_checkpoint({}, 's3://bucket/x.pth')
    file = tmp_path / 'x.pth'
    save_checkpoint({'a': 1}, str(file), file_client_args=dict(backend='disk'))
    assert read_checkpoint(file) == {'a': 1}
