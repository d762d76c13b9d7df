"""Processes that are killed, each a real one; and what is found of them afterwards."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.delivery.replay import replay
from mmext.hooks.mlflow_logging.failures import FailureWatch

# children of a process that has everything imported and no thread
_SERVER = multiprocessing.get_context('forkserver')
_LIMIT_S = 120.0


@pytest.fixture(scope='module')
def train_until(tiny: ModuleType) -> Callable[[Path, int], int | None]:
    """Trains in a process that gets a signal after iteration 7 of 10; its exit code."""
    _SERVER.set_forkserver_preload(['tiny_training', 'mlflow', 'mmext.hooks.mlflow_logging.hook'])

    def train(work_dir: Path, signal_number: int) -> int | None:
        child = _SERVER.Process(target=tiny.train_until, args=(str(work_dir), signal_number))
        child.start()
        child.join(_LIMIT_S)
        if child.is_alive():
            child.kill()
            child.join(10)
            raise AssertionError(f'the training did not end within {_LIMIT_S:.0f} s')
        return child.exitcode

    return train


def test_sigterm_ends_killed(train_until: Any, work_dir: Path, logged: Any) -> None:
    assert train_until(work_dir, signal.SIGTERM) == -signal.SIGTERM
    assert logged.only_run().info.status == 'KILLED'
    assert logged.steps('train/loss') == list(range(1, 7))
    assert 'traceback.txt' in logged.artifacts()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_last_upload_leaves_the_status_right(
    number: signal.Signals,
    train_until: Any,
    tiny: ModuleType,
    tmp_path: Path,
    proxy: Any,
    reader: Any,
) -> None:
    uploads = threading.Event()

    def fault(method: str, path: str) -> Any:
        if method == 'PUT' and '/checkpoints/' in path:
            uploads.set()
            uploading.wait(60)
        return None

    uploading = threading.Event()
    proxy.fault = fault
    child = _SERVER.Process(target=tiny.train_to, args=(str(tmp_path), proxy.uri))
    child.start()
    assert uploads.wait(_LIMIT_S)
    assert child.pid is not None
    os.kill(child.pid, number)
    child.join(_LIMIT_S)
    assert child.exitcode == (-number if number == signal.SIGTERM else 1)

    logged = reader(proxy.uri)
    found = logged.client.get_experiment_by_name(tmp_path.name)
    (run,) = logged.client.search_runs([found.experiment_id])
    assert run.info.status == 'FINISHED'
    uploading.set()
    assert [result.outcome for result in replay(tmp_path)] == ['sent']
    names = [entry.path for entry in logged.client.list_artifacts(run.info.run_id, 'checkpoints')]
    assert names == ['checkpoints/best_mae_epoch_1.pth']


def test_sigkill_is_found_and_closed_by_replay(
    train_until: Any, work_dir: Path, logged: Any
) -> None:
    assert train_until(work_dir, signal.SIGKILL) == -signal.SIGKILL
    (result,) = replay(work_dir)

    assert result.outcome == 'killed'
    run = logged.only_run()
    assert run.info.status == 'KILLED'
    assert logged.steps('train/loss') == list(range(1, 7))
    assert run.data.tags['mmext.best.checkpoint'] == 'checkpoints/best_mae_epoch_1.pth'
    assert list(replay(work_dir)) == [], 'a second replay has nothing to do'


def test_killed_run_is_resumed_with_its_lost_points(
    train_until: Any, tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    train_until(work_dir, signal.SIGKILL)
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
def test_exit_without_an_end_is_reported(
    ending: str, expected: str, run_to_end: Callable[..., Any]
) -> None:
    script = (
        'import sys\n'
        'from mmext.hooks.mlflow_logging.failures import FailureWatch\n'
        'watch = FailureWatch(lambda s, r: print(s, r.strip().splitlines()[-1], flush=True))\n'
        f'watch.start([])\n{ending}\n'
    )
    done = run_to_end([sys.executable, '-c', script])
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


def test_a_run_that_raises_before_its_loop_leaves_no_handler(
    tiny: ModuleType, tmp_path: Path
) -> None:
    """And is not kept alive, with its model, in a process that goes on."""
    before = signal.getsignal(signal.SIGTERM)
    runner = tiny.make_runner(tmp_path, load_from=str(tmp_path / 'gone.pth'))
    alive = weakref.ref(runner)
    with pytest.raises(FileNotFoundError):
        runner.train()
    assert signal.getsignal(signal.SIGTERM) != before
    del runner
    gc.collect()
    assert alive() is None
    assert signal.getsignal(signal.SIGTERM) == before
