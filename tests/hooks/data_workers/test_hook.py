"""Real trainings whose data worker fails, is killed, or is left behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmext.hooks.data_workers.hook import likely_shared_bytes

SCRIPT = Path(__file__).with_name('worker_training.py')
SMALL = 'mount -t tmpfs -o size=256k tmpfs /dev/shm'


def error_line(done: Any) -> str:
    """The last line of a program, which has no traceback."""
    last = done.stderr.strip().splitlines()[-1]
    assert 'Traceback' not in done.stderr and last.startswith('error: '), done.stderr
    return last


@pytest.mark.skipif(
    subprocess.run(['unshare', '-m', 'sh', '-c', SMALL], capture_output=True).returncode != 0
    if sys.platform == 'linux'
    else True,
    reason='needs the right to mount',
)
def test_a_shared_memory_that_is_too_small(run_to_end: Callable[..., Any], tmp_path: Path) -> None:
    """Torch prints the error of the worker and waits for ever."""
    program = f'{SMALL} && exec {sys.executable} {SCRIPT} {tmp_path} large'
    done = run_to_end(['unshare', '-m', 'sh', '-c', program], timeout_s=400)
    assert done.returncode == 2, done.stderr
    for word in ('/dev/shm is too small', '--shm-size', 'num_workers=0'):
        assert word in error_line(done)
    warned = next(line for line in done.stdout.splitlines() if 'WARNING' in line)
    assert '/dev/shm has 0.2 MB free' in warned and '--shm-size' in warned


def test_a_killed_worker_ends_the_training(run_to_end: Callable[..., Any], tmp_path: Path) -> None:
    done = run_to_end([sys.executable, SCRIPT, tmp_path, 'killed'], timeout_s=400)
    assert done.returncode == 2
    for word in ('was killed', 'memory', 'num_workers'):
        assert word in error_line(done)
    assert done.stdout.count('step') < 4  # batches


@pytest.mark.skipif(sys.platform != 'linux', reason='prctl is of Linux')
def test_no_worker_outlives_a_killed_training(tmp_path: Path) -> None:
    """It waits with batches for a pipe that nobody reads."""
    command = [sys.executable, str(SCRIPT), str(tmp_path), 'slow']
    training = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert training.stdout is not None
    while training.stdout.readline() != 'step\n':
        assert training.poll() is None
    worker = int((tmp_path / 'worker').read_text())  # the config's own start function ran as well
    time.sleep(0.5)  # until it waits
    assert is_running(worker)
    training.send_signal(signal.SIGKILL)
    training.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        status = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(')')[2].split()[0] != 'Z'


def loader(dataset: Any, **settings: Any) -> Any:
    return SimpleNamespace(
        **{'num_workers': 2, 'batch_size': 4, 'prefetch_factor': None, **settings},
        dataset=dataset,
        batch_sampler=SimpleNamespace(batch_size=8),
    )


def dataset(*sizes: Any) -> Any:
    transforms = [SimpleNamespace(), *(SimpleNamespace(scale=size) for size in sizes)]
    return SimpleNamespace(pipeline=SimpleNamespace(transforms=transforms))


@pytest.mark.parametrize(
    ('made', 'expected'),
    [
        (loader(dataset((64, 32))), 2 * 3 * 4 * 64 * 32 * 3),
        (loader(dataset((64, 32)), prefetch_factor=4), 2 * 5 * 4 * 64 * 32 * 3),
        (loader(dataset((64, 32)), batch_size=None), 2 * 3 * 8 * 64 * 32 * 3),
        (loader(dataset([(64, 32), (64, 64)], (0.5, 2.0))), 2 * 3 * 4 * 64 * 64 * 3),
        (loader(SimpleNamespace(datasets=[dataset((8, 8)), dataset((16, 8))])), 24 * 128 * 3),
        (loader(object()), 24 * 1333 * 800 * 3),
        (loader(dataset((64, 32)), num_workers=0), 0),
    ],
)
def test_estimate(made: Any, expected: int) -> None:
    assert likely_shared_bytes(made) == expected
