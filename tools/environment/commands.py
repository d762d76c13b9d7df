"""Tools that are run with their output in a log, and questions to the Python of ``.venv``."""

from __future__ import annotations  # an old Python must get as far as `check_machine`

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
WORK = ROOT / '.cache' / 'setup'
CONSTRAINTS = ROOT / 'constraints.txt'


class SetupError(Exception):
    """A step failed; the text is for the user."""


def say(text: str) -> None:
    print(text, flush=True)


class Progress:
    """One live line on a terminal, or one line a minute in a CI log."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.start = time.monotonic()
        self.next_line = 60.0

    def update(self, log: Path) -> None:
        """Show the time spent and, where the tool counts (ninja), how far it is."""
        seconds = time.monotonic() - self.start
        if self.live:
            print(f'\r      {seconds:4.0f} s {counted(log):20}', end='', flush=True)
        elif seconds >= self.next_line:
            say(f'      {seconds:4.0f} s {counted(log)}'.rstrip())
            self.next_line += 60

    def close(self) -> None:
        """Wipe the live line."""
        if self.live:
            print('\r' + ' ' * 40 + '\r', end='', flush=True)


def counted(log: Path) -> str:
    """Return 'N of M files' from the last ninja counter near the end of ``log``, or ''."""
    counters = re.findall(r'\[(\d+)/(\d+)\]', tail(log, 20))
    return '{} of {} files'.format(*counters[-1]) if counters else ''


def tail(log: Path, lines: int) -> str:
    with log.open('rb') as file:
        file.seek(max(0, log.stat().st_size - 400 * lines))
        return '\n'.join(file.read().decode(errors='replace').splitlines()[-lines:])


def run(log_name: str, *command: object, **environment: str) -> None:
    """Run a tool with its output in a log file.

    Args:
        log_name: name of the log, without folder and suffix; appended to.
        command: program and arguments.
        environment: variables added to ours.

    Raises:
        SetupError: the tool failed; the text ends with the tail of the log.
    """
    words = [str(word) for word in command]
    log = WORK / 'logs' / f'{log_name}.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    with log.open('ab') as sink:
        sink.write(f'\n$ {shlex.join(words)}\n'.encode())
        sink.flush()
        # a session of its own: when we are interrupted its whole tree can be ended
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=WORK,
            env=clean_environment() | environment,
            start_new_session=True,
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.5)
                    break
                progress.update(log)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            progress.close()
    if process.returncode:
        raise SetupError(f'{words[0]} failed. The end of {log}:\n\n{tail(log, 25)}')


def clean_environment() -> dict[str, str]:
    """Return our environment without what would let other installations shine through."""
    dropped = ('PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_USER')
    return {name: value for name, value in os.environ.items() if name not in dropped}


def pip(log_name: str, *arguments: object, **environment: str) -> None:
    """Run the venv's pip; every installation obeys constraints.txt."""
    environment |= {'PIP_CONSTRAINT': str(CONSTRAINTS), 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
    run(log_name, PYTHON, '-m', 'pip', *arguments, **environment)


def works(code: str) -> bool:
    """Return whether ``code`` runs without an error in the venv."""
    return ask(code) is not None


def ask(code: str) -> str | None:
    """Return what ``code`` prints in the venv, None if it fails."""
    done = subprocess.run(
        [PYTHON, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        cwd=WORK,
        env=clean_environment(),
    )
    return done.stdout if done.returncode == 0 else None
