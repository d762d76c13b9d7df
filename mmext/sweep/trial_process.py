"""One trial: ``mmext train`` as a process of its own, in a folder of its own.

A process each keeps a crash, the memory of a GPU and the host's tables of names from the next
trial. The training holds a lock on its folder as long as any of its processes lives, so that a
sweep that is started again knows which trials are dead and goes on with them.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmext.hooks.mixed_precision.overflow import ADVICE
from mmext.shipped import shipped_folder
from mmext.sweep.studies import TRIAL_VARIABLE

_LOCK, _OUTPUT = 'trial.lock', 'output.txt'
_LOOK_S = 2.0
_END_S = 60.0  # for a training that was told to end


class Ended(NamedTuple):
    """How a training ended.

    Attributes:
        code: of its process, 0 where all went well.
        reason: what it said last where not.
        diverged: it lost its weights to infinity: its values are too bold, no fault of the config.
    """

    code: int
    reason: str
    diverged: bool


class TrialFolder:
    """The work folder of a trial.

    Args:
        path: of it; made by :meth:`claim`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def output(self) -> Path:
        """What the training has printed."""
        return self.path / _OUTPUT

    def claim(self) -> bool:
        """Lock the folder; False where a training still lives in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def release(self) -> None:
        """Let go of the folder; a training in it still holds it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def train(
        self, config: str, flags: Sequence[str], trial: str, watch: Callable[[], Any]
    ) -> Ended:
        """Train in the folder, or go on there.

        Args:
            config: file of the config, or ``mmext::NAME.py``.
            flags: of ``mmext train``, without those of the folder.
            trial: for the environment, see :func:`.studies.written_trial`.
            watch: called every two seconds meanwhile.
        """
        assert self._lock is not None
        tool = shipped_folder('tools') / 'train.py'
        command = [sys.executable, str(tool), config, '--work-dir', str(self.path), '--resume']
        environment: Mapping[str, str] = {**os.environ, TRIAL_VARIABLE: trial}
        with self.output.open('ab') as output:
            process = subprocess.Popen(
                [*command, *flags], env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, pass_fds=(self._lock,),
            )  # fmt: skip
        try:
            while process.poll() is None:
                _wait(process, _LOOK_S)
                watch()
        except BaseException:  # Ctrl-C, which the training has got as well, or a fault here
            _end(process)
            raise
        return self._ended(process.returncode)

    def _ended(self, code: int) -> Ended:
        if code == 0:
            return Ended(0, '', False)
        lines = self.output.read_text('utf-8', 'replace').splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), '')
        reason = last.removeprefix('error: ') or f'exit code {code}'
        if code < 0:
            reason = f'ended by signal {-code}'
        return Ended(code, reason, ADVICE in last)


def _wait(process: 'subprocess.Popen[bytes]', seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _end(process: 'subprocess.Popen[bytes]') -> None:
    """Ask a training to end, then make it."""
    deadline = time.monotonic() + _END_S
    process.terminate()
    _wait(process, deadline - time.monotonic())
    if process.poll() is None:
        process.kill()
        process.wait()
