"""What to say of an error that says nothing: the statement that failed, and where it is.

``assert hook is not None`` raises an AssertionError without a message; so do a bare ``raise`` of a
class and some of Python's own.
"""

import linecache
import re
import traceback
from pathlib import Path

_REPORTED = re.compile(r'^  File "(.+)", line (\d+), in .*\n    (.+)$', re.MULTILINE)
_PACKAGES = '/site-packages/'
_SHOWN_CHARACTERS = 160


def words_of(error: BaseException) -> str:
    """The message of an error on one line; of one without, the statement that failed.

    >>> words_of(ValueError('no   picture'))
    'no picture'
    >>> try:
    ...     raise KeyError
    ... except KeyError as error:
    ...     words_of(error).partition(' (')[0]
    '`raise KeyError`'
    """
    return ' '.join(str(error).split()) or failed_statement(error)


def first_line(error: BaseException) -> str:
    """The first line of the message of an error; of one without, the statement that failed."""
    return (str(error).strip().splitlines() or [failed_statement(error)])[0]


def failed_statement(error: BaseException, report: str = '') -> str:
    """The innermost statement of an error and its place, as far as they are known.

    Args:
        error: what was raised.
        report: the traceback as text, where a process sent it; its last statement is the place.
    """
    if reported := _REPORTED.findall(report):
        file, line, statement = reported[-1]
        return _shown(statement, file, int(line))
    calls = traceback.extract_tb(error.__traceback__)
    if not calls:
        return ''
    last = calls[-1]
    first = last.lineno or 1
    lines = [linecache.getline(last.filename, n) for n in range(first, (last.end_lineno or 0) + 1)]
    return _shown(''.join(lines) or last.line or '', last.filename, first)


def _shown(statement: str, file: str, line: int) -> str:
    """A statement on one line, with the file below its package folder.

    >>> _shown('assert a, (  b)', '/usr/lib/site-packages/mmdet/x.py', 3)
    '`assert a, ( b)` (mmdet/x.py, line 3)'
    """
    place = f'{Path(file).as_posix().rpartition(_PACKAGES)[2]}, line {line}'
    text = ' '.join(statement.split())
    text = text if len(text) <= _SHOWN_CHARACTERS else f'{text[:_SHOWN_CHARACTERS]}...'
    return f'`{text}` ({place})' if text else place
