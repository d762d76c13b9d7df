"""A migrated store that is copied for each test, a real server, and a reader for both."""

import importlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')

import pytest

_FOLDER = Path(__file__).parent


class Logged:
    """What a store knows, for assertions."""

    def __init__(self, uri: str) -> None:
        from mlflow import MlflowClient

        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri)

    def runs(self) -> list[Any]:
        """Every run, oldest first."""
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        return list(self.client.search_runs(experiments, order_by=['attributes.start_time ASC']))

    def only_run(self) -> Any:
        """The run, when there must be exactly one."""
        (run,) = self.runs()
        return run

    def steps(self, key: str) -> list[int]:
        """The steps of a curve in the order of logging."""
        return [point.step for point in self.history(key)]

    def history(self, key: str) -> list[Any]:
        """The points of a curve."""
        return list(self.client.get_metric_history(self.only_run().info.run_id, key))

    def artifacts(self, folder: str | None = None) -> list[str]:
        """All artifact paths below a folder."""
        paths: list[str] = []
        run_id = self.only_run().info.run_id
        with self._named_in_environment():
            entries = self.client.list_artifacts(run_id, folder)
        for entry in entries:
            paths += self.artifacts(entry.path) if entry.is_dir else [entry.path]
        return paths

    def read(self, artifact: str, folder: Path) -> bytes:
        """The contents of an artifact."""
        run_id = self.only_run().info.run_id
        with self._named_in_environment():
            path = self.client.download_artifacts(run_id, artifact, str(folder))
        return Path(path).read_bytes()

    @contextmanager
    def _named_in_environment(self) -> Iterator[None]:
        """MLflow 3.0 looks there for the store of a run's artifacts."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('MLFLOW_TRACKING_URI', self.uri)
            yield


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith('MLFLOW_')]:
        if name != 'MLFLOW_DISABLE_TELEMETRY':
            monkeypatch.delenv(name)
    # without a second look at every request: tests kill servers on purpose
    monkeypatch.setenv('MLFLOW_HTTP_REQUEST_MAX_RETRIES', '0')


@pytest.fixture(scope='session')
def tiny() -> ModuleType:
    """The module ``tiny_training``."""
    sys.path.insert(0, str(_FOLDER))  # processes that tests start look there as well
    return importlib.import_module('tiny_training')


@pytest.fixture(scope='session')
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store without runs; the migrations take seconds."""
    path = tmp_path_factory.mktemp('store') / 'mlflow.db'
    Logged(f'sqlite:///{path}').client.search_experiments()
    return path


@pytest.fixture
def work_dir(tmp_path: Path, empty_store: Path) -> Path:
    """A work folder whose default store is there already."""
    folder = tmp_path / 'work'
    folder.mkdir()
    shutil.copy(empty_store, folder / 'mlflow.db')
    return folder


@pytest.fixture
def logged(work_dir: Path) -> Logged:
    """A reader of the work folder's default store."""
    return Logged(f'sqlite:///{work_dir / "mlflow.db"}')


@pytest.fixture
def reader() -> Callable[[str], Logged]:
    """Makes a reader of any store."""
    return Logged


class Server:
    """A real ``mlflow server`` that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        self.uri = f'http://127.0.0.1:{self.port}'
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [
            sys.executable, '-m', 'mlflow', 'server', '--host', '127.0.0.1',
            '--port', str(self.port), '--workers', '1',
            '--backend-store-uri', f'sqlite:///{self.folder / "mlflow.db"}',
            '--artifacts-destination', str(self.folder / 'artifacts'),
        ]  # fmt: skip
        environment = {**os.environ, 'MLFLOW_SERVER_ENABLE_JOB_EXECUTION': 'false'}
        with open(self.folder / 'server.log', 'ab') as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f'{self.uri}/health', timeout=1)
                return
            except OSError:
                assert self._process.poll() is None, (self.folder / 'server.log').read_text()
                time.sleep(0.1)
        raise TimeoutError('mlflow server did not start')

    def kill(self) -> None:
        """End it without notice, with its worker processes."""
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait(timeout=30)
            self._process = None

    @property
    def running(self) -> bool:
        """Whether it has been started and not killed."""
        return self._process is not None


@pytest.fixture(scope='session')
def server_process(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Server]:
    """The session's server."""
    folder = tmp_path_factory.mktemp('server')
    shutil.copy(empty_store, folder / 'mlflow.db')
    server = Server(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(server_process: Server) -> Server:
    """The server, up."""
    if not server_process.running:
        server_process.start()
    return server_process


@pytest.fixture
def proxy(server: Server) -> Iterator[Any]:
    """A fault proxy in front of the server."""
    sys.path.insert(0, str(_FOLDER))
    proxy = importlib.import_module('fault_proxy').FaultProxy(server.uri)
    yield proxy
    proxy.close()


@pytest.fixture
def header() -> Callable[..., dict[str, Any]]:
    """Makes the first record of a spool."""

    def make(tracking_uri: str, artifacts: str | None = None, name: str = 'e') -> dict[str, Any]:
        run = {
            'key': uuid.uuid4().hex, 'session': 's', 'run_id': None, 'continues': False,
            'experiment': name, 'name': 'n', 'start_ms': 5, 'tags': {}, 'parent': None,
        }  # fmt: skip
        return {
            'kind': 'open', 'mode': 'train', 'run': run, 'artifact_location': artifacts,
            'tracking_uri': tracking_uri,
        }  # fmt: skip

    return make
