"""How long an iteration waits for MLflow: our hook against mmengine's backend.

Both get the same 12 scalars at every iteration, by the way each takes them in a
training (ours: the message hub through ``after_train_iter``; mmengine's:
``add_scalars``), against the same SQLite store and the same HTTP server. Their
iterations alternate, so that both meet the same load on the machine.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmext.benchmark.rows import Row

SCALARS = 12
ITERATION_S = 0.1  # of the training that is stood in for
STORES = ('SQLite', 'HTTP')
AIM = 50.0  # times less blocking
SHARE_LIMIT = 0.5  # percent of an iteration


def run(quick: bool) -> list[Row]:
    """Print median and 99th percentile of the blocked time; the medians are the rows."""
    os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')
    iterations = 30 if quick else 150
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        stores = Path(folder)
        _migrated(stores / 'sqlite.db')
        shutil.copy(stores / 'sqlite.db', stores / 'http.db')
        with _server(stores / 'http.db') as server:
            for name, uri in zip(
                STORES, (f'sqlite:///{stores / "sqlite.db"}', server), strict=True
            ):
                rows += _report(name, *_measure(uri, stores / name, iterations))
    return rows


def _measure(uri: str, work_dir: Path, iterations: int) -> tuple[list[float], list[float]]:
    """Seconds that each iteration was blocked: ours, mmengine's."""
    with _ours(uri, work_dir) as ours, _mmengines(uri, work_dir) as theirs:
        times: tuple[list[float], list[float]] = ([], [])
        for step in range(1, iterations + 1):
            values = {f'loss_{i}': 1.0 / (step + i) for i in range(SCALARS)}
            for log, taken in zip((ours, theirs), times, strict=True):
                time.sleep(ITERATION_S / 4)  # the threads in the background get their turn
                log(values, step, taken)
    return times


@contextmanager
def _ours(uri: str, work_dir: Path) -> Iterator[Callable[..., None]]:
    """The hook on a real runner whose iterations are called one by one."""
    from mmengine.runner import Runner

    runner: Runner = _runner(uri, work_dir)
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'MLflowHook')
    hook.before_run(runner)
    hook.before_train(runner)

    def log(values: dict[str, float], step: int, taken: list[float]) -> None:
        runner.train_loop._iter = step - 1
        # mmengine's own hook fills the message hub whoever reads it
        for name, value in values.items():
            runner.message_hub.update_scalar(f'train/{name}', value)
        start = time.perf_counter()
        hook.before_train_iter(runner, 0)
        hook.after_train_iter(runner, 0)
        taken.append(time.perf_counter() - start)

    yield log
    hook.after_run(runner)


@contextmanager
def _mmengines(uri: str, work_dir: Path) -> Iterator[Callable[..., None]]:
    from mmengine.config import Config
    from mmengine.visualization import MLflowVisBackend

    backend = MLflowVisBackend(
        str(work_dir / 'theirs'),
        exp_name='theirs',
        tracking_uri=uri,
        artifact_location=(work_dir / 'theirs' / 'artifacts').as_uri(),
    )
    backend.add_config(Config({'work_dir': str(work_dir / 'theirs')}))

    def log(values: dict[str, float], step: int, taken: list[float]) -> None:
        start = time.perf_counter()
        backend.add_scalars(values, step=step)
        taken.append(time.perf_counter() - start)

    yield log
    backend.close()


def _runner(uri: str, work_dir: Path) -> Any:
    import torch
    from mmengine.model import BaseModel
    from mmengine.runner import Runner
    from torch.utils.data import TensorDataset

    class Model(BaseModel):
        """One weight."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor, mode: str = 'loss') -> dict[str, torch.Tensor]:
            """Not called: the benchmark plays the loop."""
            return {'loss': (self.weight * x).sum()}

    hook = {'type': 'mmext.MLflowHook', 'tracking_uri': uri, 'interval': 1, 'experiment': 'ours'}
    runner = Runner(
        model=Model(),
        work_dir=str(work_dir / 'ours'),
        train_dataloader={
            'batch_size': 1,
            'dataset': TensorDataset(torch.zeros(4, 1)),
            'sampler': {'type': 'DefaultSampler'},
        },
        train_cfg={'by_epoch': False, 'max_iters': 10**6},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        default_scope='mmext',
        default_hooks={'mlflow': hook},
        log_level='ERROR',
    )
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    return runner


def _report(store: str, ours: list[float], theirs: list[float]) -> list[Row]:
    for name, taken in (('ours', ours), ('mmengine', theirs)):
        ranked = sorted(taken)
        p99 = 1e6 * ranked[int(0.99 * (len(ranked) - 1))]
        print(f'{store}, {name}: median {1e6 * statistics.median(ranked):.1f} us, p99 {p99:.1f} us')
    blocked = 1e6 * statistics.median(ours)
    what = f'time that MLflow blocks an iteration, {store}'
    share = 100 * statistics.median(ours) / ITERATION_S
    return [
        Row(what, "mmengine's backend", blocked, 1e6 * statistics.median(theirs), 'us', AIM),
        Row(f'{what}, as share of 100 ms', 'the limit', share, SHARE_LIMIT, '%', 1.0),
    ]


def _migrated(database: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=f'sqlite:///{database}').search_experiments()


@contextmanager
def _server(database: Path) -> Iterator[str]:
    """A real MLflow server on the loopback."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, '-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', str(port),
        '--workers', '1', '--backend-store-uri', f'sqlite:///{database}',
        '--artifacts-destination', str(database.parent / 'artifacts'),
    ]  # fmt: skip
    environment = {**os.environ, 'MLFLOW_SERVER_ENABLE_JOB_EXECUTION': 'false'}
    process = subprocess.Popen(
        command,
        cwd=database.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(f'http://127.0.0.1:{port}/health')
        yield f'http://127.0.0.1:{port}'
    finally:
        os.killpg(process.pid, 9)
        process.wait(timeout=30)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f'{url} does not answer')
