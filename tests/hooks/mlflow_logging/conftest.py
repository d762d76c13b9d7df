"""A migrated store that is copied for each test, a real server, and a reader for both."""

import importlib
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')

import pytest

_FOLDER = Path(__file__).parent
sys.path.append(str(_FOLDER.parents[2] / 'tools'))
from soaking.fault_proxy import FaultProxy  # noqa: E402
from soaking.mlflow_server import MlflowServer  # noqa: E402


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


@pytest.fixture(scope='session')
def server_process(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> Iterator[MlflowServer]:
    """The session's server."""
    folder = tmp_path_factory.mktemp('server')
    shutil.copy(empty_store, folder / 'mlflow.db')
    server = MlflowServer(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(server_process: MlflowServer) -> MlflowServer:
    """The server, up."""
    if not server_process.running:
        server_process.start()
    return server_process


@pytest.fixture
def proxy(server: MlflowServer) -> Iterator[FaultProxy]:
    """A fault proxy in front of the server."""
    proxy = FaultProxy(server.uri)
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
