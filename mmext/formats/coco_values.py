"""A value of a COCO file in one form: ids, flags, names and sizes, however they are written."""

from collections.abc import Sequence
from typing import Any

from mmext.errors import InputError

Json = dict[str, Any]
Id = int | str

_FLAGS = {None: 0, '': 0, '0': 0, '0.0': 0, 'false': 0, '1': 1, '1.0': 1, 'true': 1}
_NAMED = 3
_EXACT = 2**53  # up to here a float tells every whole number from its neighbors


def canonical_id(value: Any, what: str = 'id') -> Id:
    """An id in one form: whole numbers as int however they are written, other texts as they are.

    Args:
        value: of the JSON, or of a data sample.
        what: names it in the error.

    Raises:
        InputError: it is neither a whole number nor a text.

    >>> canonical_id('7'), canonical_id(7.0), canonical_id('007'), canonical_id('cam_7')
    (7, 7, '007', 'cam_7')
    """
    if type(value) is int:
        return value
    if isinstance(value, str) and value:
        digits = value.removeprefix('-')
        plain = digits.isascii() and digits.isdigit() and (digits == '0' or digits[0] != '0')
        return int(value) if plain else value
    if isinstance(value, bool) or value is None or value == '':
        raise InputError(f'{what} is {value!r}; expected a number or a name')
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f'{what} is {value!r}; expected a number or a name') from None
    if whole != value:
        raise InputError(f'{what} is {value!r}; expected a whole number or a name')
    if isinstance(value, float) and abs(value) > _EXACT:
        raise InputError(f'{what} is {value!r}, which is not exact; write all its digits as a text')
    return whole


def flag(value: Any, what: str) -> int:
    """0 or 1, however it is written; nothing is 0.

    Raises:
        InputError: it is neither.
    """
    if isinstance(value, str):
        value = value.strip().lower()
    elif isinstance(value, float | int):
        value = str(int(value)) if value in (0, 1) else value
    if not isinstance(value, str | None) or value not in _FLAGS:
        raise InputError(f'{what} is {value!r}; expected 0 or 1')
    return _FLAGS[value]


def file_name(name: Any, what: str) -> str:
    """The name of a photo's file, with forward slashes.

    Raises:
        InputError: it is no text, or empty.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{what} is {name!r}; expected the name of the photo's file")
    return name.replace('\\', '/')


def pixel_size(value: Any, what: str) -> int:
    """A width or height in px.

    Raises:
        InputError: it is no number of at least 1.
    """
    try:
        size = int(float(value))
    except (TypeError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise InputError(f'{what} is {value!r}; expected the size of the photo in pixels')
    return size


def kind_of(value: Any) -> str:
    """What a value is, for a message: ``a list``, ``nothing``."""
    return 'nothing' if value is None else f'a {type(value).__name__}'


def some(items: Sequence[object]) -> str:
    """The first few, and how many more there are.

    >>> some(['a', 'b', 'c', 'd'])
    'a, b, c and 1 more'
    """
    more = f' and {len(items) - _NAMED} more' if len(items) > _NAMED else ''
    return ', '.join(map(str, items[:_NAMED])) + more
