"""Programs of ``tools/`` as processes that can be signalled, watched and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_TOOLS = Path(__file__).parents[1]
_LOOK_S = 0.02
_WORKERS_S = 20.0
"""How long data workers may outlive their training."""


class Nursery:
    """Starts programs from a process that has everything imported; see ``nursery.py``."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name('nursery.py'))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for us
        )
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()) != 'ready\n':  # what imports print
            if not line:
                raise RuntimeError('the programs cannot be imported, see above')

    def ask(self, request: Mapping[str, Any]) -> Any:
        """The answer to a request."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f'{json.dumps(request)}\n')
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, folder: Path, tool: str, *arguments: object) -> 'Program':
        """Start ``tools/TOOL.py`` in a folder; its output goes to a log there."""
        number = len(list(folder.glob('*.log')))
        log = folder / f'{number:02}_{tool}.log'
        argv = [str(_TOOLS / f'{tool}.py'), *map(str, arguments)]
        pid = self.ask({'argv': argv, 'folder': str(folder), 'log': str(log)})
        return Program(self, pid, argv, log)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class Program:
    """A program that was started.

    Attributes:
        argv: its command line.
        log: the file of its output.
        code: its exit code as :mod:`subprocess` has it, None until it was seen.
        hung: whether it, or a process that it started, had to be ended.
    """

    def __init__(self, nursery: Nursery, pid: int, argv: list[str], log: Path) -> None:
        self._nursery, self._pid = nursery, pid
        self.argv, self.log = argv, log
        self.code: int | None = None
        self.hung = False

    @property
    def output(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors='replace') if self.log.exists() else ''

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        if self.code is None:
            self.code = self._nursery.ask({'look': self._pid})
        return self.code is None

    def send(self, number: signal.Signals, to_all: bool = False) -> None:
        """Send a signal to it, or as a terminal does to all that it has started too."""
        with suppress(ProcessLookupError):
            (os.killpg if to_all else os.kill)(self._pid, number)

    def wait(self, limit_s: float) -> bool:
        """Wait until it has ended; whether it did within the limit."""
        deadline = time.monotonic() + limit_s
        while self.runs() and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return not self.runs()

    def end(self, limit_s: float) -> None:
        """Wait for it and all that it has started; what takes longer has hung and is killed."""
        if not self.wait(limit_s):
            self._kill_hung()
        deadline = time.monotonic() + _WORKERS_S
        while self._group_lives():
            if time.monotonic() > deadline:
                self._kill_hung()
                return
            time.sleep(_LOOK_S)

    def _kill_hung(self) -> None:
        self.hung = True
        self.send(signal.SIGABRT, to_all=True)  # every Python of it prints where it is
        time.sleep(1)
        self.send(signal.SIGKILL, to_all=True)
        self.wait(10)

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._pid, 0)
        except ProcessLookupError:
            return False
        return True
