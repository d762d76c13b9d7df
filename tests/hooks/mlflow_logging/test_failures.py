"""Processes that are killed, each a real one; and what is found of them afterwards."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.failures import FailureWatch
from mmext.hooks.mlflow_logging.replay import replay

_FORK = multiprocessing.get_context('fork')  # a child with everything imported


def _train_in_child(tiny: ModuleType, work_dir: Path, action: Callable[[], None]) -> int | None:
    """Train, act after iteration 7 of 10, return the exit code."""

    def train() -> None:
        hook = {'close_timeout_s': 5.0}
        tiny.make_runner(work_dir, hook=hook, custom_hooks=[tiny.At(7, action)]).train()

    child = _FORK.Process(target=train)
    child.start()
    child.join(120)
    return child.exitcode


def test_sigterm_ends_killed(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    assert _train_in_child(tiny, work_dir, terminate) == -signal.SIGTERM
    assert logged.only_run().info.status == 'KILLED'
    assert logged.steps('train/loss') == list(range(1, 7))
    assert 'traceback.txt' in logged.artifacts()


def test_sigkill_is_found_and_closed_by_replay(
    tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    def die() -> None:
        time.sleep(0.5)  # the spool is a tenth of a second behind
        os.kill(os.getpid(), signal.SIGKILL)

    assert _train_in_child(tiny, work_dir, die) == -signal.SIGKILL
    (result,) = replay(work_dir)

    assert result.outcome == 'killed'
    run = logged.only_run()
    assert run.info.status == 'KILLED'
    assert logged.steps('train/loss') == list(range(1, 7))
    assert run.data.tags['mmext.best.checkpoint'] == 'checkpoints/best_mae_epoch_1.pth'
    assert list(replay(work_dir)) == [], 'a second replay has nothing to do'


def test_killed_run_is_resumed_with_its_lost_points(
    tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    def die() -> None:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    _train_in_child(tiny, work_dir, die)
    tiny.make_runner(work_dir, resume=True, load_from=str(work_dir / 'epoch_1.pth')).train()

    assert logged.only_run().info.status == 'FINISHED'
    assert logged.steps('train/loss') == list(range(1, 11))


def test_a_living_session_is_left_alone(tiny: ModuleType, work_dir: Path) -> None:
    outcomes: list[str] = []

    def look() -> None:
        outcomes.extend(result.outcome for result in replay(work_dir))

    tiny.make_runner(work_dir, custom_hooks=[tiny.At(7, look)]).train()

    assert outcomes == ['live']


@pytest.mark.parametrize(
    ('ending', 'expected'),
    [
        ('raise ValueError("outside of the loop")', 'FAILED ValueError: outside of the loop'),
        ('pass', 'KILLED the process ended before the run did'),
        ('sys.exit(3)', 'KILLED the process ended before the run did'),
    ],
)
def test_exit_without_an_end_is_reported(ending: str, expected: str) -> None:
    script = (
        'import sys\n'
        'from mmext.hooks.mlflow_logging.failures import FailureWatch\n'
        'watch = FailureWatch(lambda s, r: print(s, r.strip().splitlines()[-1], flush=True))\n'
        f'watch.start([])\n{ending}\n'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.stdout.strip() == expected


class _Loop:
    def run(self) -> None:
        raise ValueError


def test_everything_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    loop = _Loop()
    reports: list[str] = []
    watch = FailureWatch(lambda status, reason: reports.append(status))
    watch.start([loop])
    assert 'run' in vars(loop) and signal.getsignal(signal.SIGTERM) != before
    with pytest.raises(ValueError):
        loop.run()
    watch.stop()
    with pytest.raises(ValueError):
        loop.run()

    assert reports == ['FAILED']
    assert vars(loop) == {}
    assert signal.getsignal(signal.SIGTERM) == before
