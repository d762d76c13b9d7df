"""Make ``.venv`` with everything mmext needs; called by ``make``, stdlib only.

Five steps. A second run takes no time, an interrupted run goes on at the step it stopped in, and
an edited constraints.txt or dependency list redoes only the steps behind it. The output of pip and
of the compiler goes to log files; the end of a log is shown when its step fails.
"""

from __future__ import annotations  # an old Python must get as far as `check_machine`

import contextlib
import fcntl
import platform
import signal
import sys
from collections.abc import Iterator

from environment import commands, mmcv_wheel, steps
from environment.commands import SetupError, say


def check_machine() -> None:
    """Say at once what is missing, before anything is fetched."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise SetupError(
            f'mmext needs Python 3.11, 3.12 or 3.13, but {sys.executable} is '
            f'{platform.python_version()}. Name another one: make PYTHON=/path/to/python3.11 ...'
        )
    mmcv_wheel.check_compiler()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other set-up works on this checkout."""
    commands.WORK.mkdir(parents=True, exist_ok=True)
    with (commands.WORK / 'lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('another set-up of this checkout is running: waiting for it')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Return the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        check_machine()
        with alone():
            steps.carry_out(steps.plan())
    except SetupError as error:
        print(f'\nset-up failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nset-up interrupted: the same command goes on from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
