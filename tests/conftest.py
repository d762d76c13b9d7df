"""What every test runs under: one thread per worker, and mmengine's global scope put back.

Random examples are new ones at every run, in CI the same ones, and may be slow on a busy machine.
``run_to_end`` starts the programs: one that hangs is ended with all it has started, and says where.
``released_shapes`` reads what the checkpoints of other projects hold, ``empty_store`` is a store of
MLflow to copy. ``browser`` is a real one.
"""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # chromium_pages, programs

from chromium_pages import PROGRAMS, Browser, browser_program
from programs import TOOLS

RunToEnd = Callable[..., 'subprocess.CompletedProcess[str]']

# Before torch, numpy and OpenCV are loaded, and inherited by the processes that tests start:
# the workers share the cores, and more threads than cores make everything slower.
for _variable in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ.setdefault(_variable, '1')

_PATIENT: dict[str, Any] = {'deadline': None, 'suppress_health_check': [HealthCheck.too_slow]}
settings.register_profile('new examples', **_PATIENT)
settings.register_profile('same examples', derandomize=True, **_PATIENT)
settings.load_profile('same examples' if os.environ.get('CI') else 'new examples')


def pytest_collection_finish() -> None:
    """Leave what the imports made to itself: mmengine collects garbage at each data set."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_default_scope() -> Iterator[None]:
    """Forget the default scopes that a test opened: the last one counts for whoever asks next."""
    yield
    registry = sys.modules.get('mmengine.registry')
    if registry is not None:
        registry.DefaultScope._instance_dict.clear()


def _run_to_end(
    command: Sequence[Any], timeout_s: float = 400.0, **options: Any
) -> 'subprocess.CompletedProcess[str]':
    """Run a program as ``subprocess.run`` does, with its output as text, for a limited time.

    What a program leaves behind (a loader's worker, a rank) holds its pipes: the whole process
    group is waited for, and aborted when time is up, so that every Python in it prints its stacks.
    """
    environment = {**(options.pop('env', None) or os.environ), 'PYTHONFAULTHANDLER': '1'}
    process = subprocess.Popen(
        [str(word) for word in command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        try:
            out, err = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
        message = f'{command} did not end within {timeout_s:.0f} s\n{out[-4000:]}\n{err[-8000:]}'
        raise AssertionError(message) from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope='session')
def run_to_end() -> RunToEnd:
    """Runs a program for a limited time; returns what ``subprocess.run`` would."""
    return _run_to_end


@pytest.fixture(scope='session')
def train_on_two(run_to_end: RunToEnd) -> Callable[..., Path]:
    """Trains a config on two processes; returns the work folder ``two`` beside the config."""

    def train(config_file: Path, *options: str) -> Path:
        work_dir = config_file.parent / 'two'
        launch = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
        program = [TOOLS / 'train.py', config_file, '--work-dir', work_dir]
        command = [sys.executable, *launch, *program, '--launcher', 'pytorch', *options]
        done = run_to_end(command, cwd=config_file.parent)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return work_dir

    return train


def _released_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes of ``data/checkpoint_keys/NAME.txt``.

    A line is a module and its tensors: ``fc weight:80x256 bias:80``; a scalar has no sizes.
    """
    shapes = {}
    lines = (Path(__file__).parent / f'data/checkpoint_keys/{name}.txt').read_text().splitlines()
    for module, *tensors in map(str.split, lines):
        for tensor in tensors:
            kind, _, sizes = tensor.partition(':')
            shapes[f'{module}.{kind}'] = tuple(map(int, sizes.split('x'))) if sizes else ()
    return shapes


@pytest.fixture(scope='session')
def released_shapes() -> Callable[[str], dict[str, tuple[int, ...]]]:
    """Key -> shape of a checkpoint as its authors released it, by the name of its list."""
    return _released_shapes


@pytest.fixture(scope='session')
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store of MLflow without runs; the migrations take seconds."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp('store') / 'mlflow.db'
    MlflowClient(f'sqlite:///{path}').search_experiments()
    return path


@pytest.fixture(scope='session')
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium without a window; tests that need it are skipped where there is none."""
    program = browser_program()
    if program is None:
        pytest.skip(f'no browser: none of {", ".join(PROGRAMS)} (apt-get install chromium)')
    browser = Browser(program, tmp_path_factory.mktemp('chromium'))
    yield browser
    browser.close()
