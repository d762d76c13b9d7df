"""A real ``mlflow server`` that can be killed and started again."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


class MlflowServer:
    """A server on the loopback, with its store and its artifacts in a folder.

    Args:
        folder: of ``mlflow.db``, ``artifacts/`` and ``server.log``.

    Attributes:
        uri: its address, the same after a new start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self._port = probe.getsockname()[1]
        self.uri = f'http://127.0.0.1:{self._port}'
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [
            sys.executable, '-m', 'mlflow', 'server', '--host', '127.0.0.1',
            '--port', str(self._port), '--workers', '1',
            '--backend-store-uri', f'sqlite:///{self.folder / "mlflow.db"}',
            '--artifacts-destination', str(self.folder / 'artifacts'),
        ]  # fmt: skip
        environment = {
            **os.environ,
            'MLFLOW_SERVER_ENABLE_JOB_EXECUTION': 'false',
            'MLFLOW_DISABLE_TELEMETRY': 'true',
        }
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
                urllib.request.urlopen(f'{self.uri}/health', timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / 'server.log').read_text()) from None
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
