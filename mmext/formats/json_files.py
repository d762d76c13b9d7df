"""JSON files as people have them: with a byte order mark, in UTF-16, cut off, empty."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from mmext.errors import InputError


def read_json(path: str | Path) -> Any:
    """The content of a JSON file, see :func:`parse_json`.

    Raises:
        InputError: there is no such file, it cannot be read, or it holds no JSON.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror})') from None
    return parse_json(data, str(path))


def parse_json(data: bytes, source: str) -> Any:
    r"""The content of a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Args:
        data: the bytes of the file.
        source: its name, for the error.

    Raises:
        InputError: it is empty, cut off, or no JSON; says where.

    >>> parse_json(b'\xef\xbb\xbf[1]', 'list.json')
    [1]
    """
    if not data.strip():
        raise InputError(f'{source} is empty; write or download it again')
    with _no_collection():
        if _LONG_NUMBER in data.translate(_DIGITS_AS_0):
            return _parse_slowly(data, source)
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:  # NaN, a byte order mark, UTF-16: the slower one reads more
            return _parse_slowly(data, source)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of new objects, none of them garbage: to look for it takes longer than to parse."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# the fast parser makes a float of a whole number above 64 bits, which may be an id
_LONG_NUMBER = b'0' * 19
_DIGITS_AS_0 = bytes(ord('0') if chr(i) in '0123456789' else 0 for i in range(256))


def _parse_slowly(data: bytes, source: str) -> Any:
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise InputError(
            f'{source} is no text in UTF-8 or UTF-16 (byte {error.start}); if it is compressed, '
            'unpack it, else save it as UTF-8'
        ) from None
    except json.JSONDecodeError as error:
        text = error.doc.strip()
        is_cut = text[0] in '{[' and text[-1] not in '}]'
        what = 'is cut off' if is_cut else 'is no JSON'
        raise InputError(
            f'{source} {what}: {error.msg} at line {error.lineno}, column {error.colno}; '
            'write or download it again'
        ) from None
    except RecursionError:
        raise InputError(f'{source} is nested too deeply to be read') from None
