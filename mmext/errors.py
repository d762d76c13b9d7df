"""How a program of ours ends: what the user can mend is one line and exit code 2.

Everything else is a fault of the software and keeps its traceback and exit code 1. Until a run
has done its first iteration, most errors come from wrong values in its config, and are one line too
(:mod:`mmext.part_errors`).
"""

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from mmext.failed_statements import failed_statement
from mmext.host_errors import missing_part
from mmext.part_errors import part_error, unknown_type
from mmext.process_deaths import Death, await_news, death_behind

USER_ERROR_CODE = 2
INTERRUPTED_CODE = 128 + 2  # as a shell says it of a program that Ctrl-C has ended
TRACEBACK_VARIABLE = 'MMEXT_TRACEBACK'

_HOST_REFUSALS = (ValueError, KeyError, OSError, ImportError, AssertionError)
# where the host refuses a wrong `type`, a missing file, an image that is none
_HOST_CHECKS = ('mmengine/registry/', 'mmengine/fileio/', 'mmcv/transforms/loading.py')
_FRAME = re.compile(r'^  File "(.+)", line \d+, in ', re.MULTILINE)


class InputError(ValueError):
    """Something the user can mend; the message says what is wrong, where, and what to do."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that the user names is not there."""


class MissingPackageError(InputError, ImportError):
    """A package is not installed; the message says how to get it."""


UserError = InputError  # its name until version 0.2


def run_tool(
    main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None
) -> int:
    """Run a program's ``main`` and return its exit code.

    Args:
        main: takes the arguments (None means ``sys.argv[1:]``).
        argv: the arguments.

    Returns:
        0, or 2 after one line on stderr for a :class:`InputError` and for wrong input that the
        host refused (see :func:`input_error`). One line as well, with a code of its own, for a
        data worker or another rank that died (:mod:`mmext.process_deaths`), and 130 for Ctrl-C.
        With ``MMEXT_TRACEBACK=1`` in the environment those keep their traceback as well.
    """
    try:
        main(argv)
    except KeyboardInterrupt:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        print('stopped by Ctrl-C', file=sys.stderr)
        return INTERRUPTED_CODE
    except Exception as error:
        try:
            await_news(error)
            end = _end_of(error)
        except RuntimeError as news:  # of a worker whose death broke a connection first
            end = _end_of(news)
        if end is None or os.environ.get(TRACEBACK_VARIABLE):
            raise
        rank = os.environ.get('RANK', '0')
        sys.last_value = error  # as after an uncaught exception, for exit handlers
        print(f'error{"" if rank == "0" else f" (rank {rank})"}: {end.message}', file=sys.stderr)
        return end.exit_code
    return 0


def _end_of(error: Exception) -> Death | None:
    """What to say and with which code to exit; None for a fault of the software."""
    if not isinstance(error, InputError) and (death := death_behind(error)):
        return death
    message = input_error(error)
    return None if message is None else Death(message, USER_ERROR_CODE)


def input_error(error: BaseException) -> str | None:
    """One line for an error that reports wrong input, None for any other.

    An :class:`InputError` does, wherever it comes from. So does what the host raises where it reads
    a config, a file or an image; what says that a package or a kernel is not installed
    (:mod:`mmext.host_errors`); and what fails while a part of a config is built or first used
    (:mod:`mmext.part_errors`). Any other ``ValueError`` is a fault of the code. Errors of
    data-loader workers arrive with their traceback as text, which is read.
    """
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    frames, report = _FRAME.findall(text), ''
    if frames:  # torch's report of an exception in a data-loader worker
        report = text
        text = re.split(rf'^[\w.]*\b{type(error).__name__}(?:: |$)', text, flags=re.MULTILINE)[-1]
    if isinstance(error, InputError):
        return text.strip()
    if not frames:
        frames = [call.filename for call in traceback.extract_tb(error.__traceback__)]
    if not frames:
        return None
    one_line = '; '.join(' '.join(line.split()) for line in text.splitlines() if line.strip())
    message = missing_part(error, text, frames[-1]) or unknown_type(error, one_line)
    if message is None and isinstance(error, _HOST_REFUSALS) and _checks_input(frames[-1]):
        message = one_line
    message = message or part_error(error, one_line or failed_statement(error, report))
    if message is None:
        return None
    return f'{message} (set {TRACEBACK_VARIABLE}=1 to see where it was found)'


def _checks_input(file: str) -> bool:
    return any(place in Path(file).as_posix() for place in _HOST_CHECKS)
