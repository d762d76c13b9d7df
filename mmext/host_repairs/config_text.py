"""The text of a config, laid out in milliseconds.

Host: ``mmengine.config.Config.pretty_text``.
Fault: yapf lays it out, 1 s and more for a config of a detector, and anew at each call; the runner
asks for it at its start and at every checkpoint, while the training waits.
Repair: values that fit into a line stand in one, others have a line for each item.
"""

import ast
import keyword
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

_TEXT = 'pretty_text'
_WIDTH = 79  # the host's


def repair() -> None:
    """Mend it for every config."""
    made = getattr(Config, _TEXT)
    if getattr(made.fget, '__wrapped__', None) is not None:
        return

    def pretty_text(config: Config) -> str:
        return lay_out(config.to_dict())

    pretty_text.__doc__ = made.__doc__
    pretty_text.__wrapped__ = made.fget  # type: ignore[attr-defined]
    setattr(Config, _TEXT, property(pretty_text))


def lay_out(values: Mapping[str, Any]) -> str:
    """Write values as assignments in Python, in the order of their names.

    Names that Python cannot assign to make it one dict.

    Args:
        values: by name: dicts, lists, tuples, strings, numbers, types; whatever else is written
            as ``str`` writes it.

    Raises:
        SyntaxError: a value or a name cannot be written as Python.
    """
    lines: list[str] = []
    if all(map(_is_name, values)):
        for name, value in _sorted(values):
            lines.extend(_lines(f'{name} = ', value, '', 0))
    else:  # as the host does
        lines.extend(_lines('', dict(values), '', 0))
    text = ''.join(f'{line}\n' for line in lines)
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise SyntaxError(f'the config cannot be written as Python ({error}):\n{text}') from error
    return text


def _is_name(key: Any) -> bool:
    return str(key).isidentifier() and not keyword.iskeyword(str(key))


def _sorted(values: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return sorted(values.items(), key=lambda item: str(item[0]))


def _lines(start: str, value: Any, end: str, indent: int) -> Iterator[str]:
    """The lines of a value, with what stands before and behind it."""
    margin, flat = ' ' * indent, f'{start}{_flat(value)}{end}'
    if indent + len(flat) <= _WIDTH or not isinstance(value, dict | list | tuple) or not value:
        yield margin + flat
        return
    left, items, right = _parts(value)
    yield f'{margin}{start}{left}'
    for before, item in items:
        yield from _lines(before, item, ',', indent + 4)
    yield f'{margin}{right}{end}'


def _flat(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, dict | list | tuple):
        left, items, right = _parts(value)
        comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
        return left + ', '.join(before + _flat(item) for before, item in items) + comma + right
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, type):
        builtin = value.__module__ == 'builtins'
        return value.__name__ if builtin else f'{value.__module__}.{value.__name__}'
    return str(value)


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """Brackets and items, each with what stands before it."""
    if isinstance(value, dict):
        if all(map(_is_name, value)):
            return 'dict(', [(f'{key}=', item) for key, item in _sorted(value)], ')'
        return '{', [(f'{key!r}: ', item) for key, item in _sorted(value)], '}'
    left, right = '[]' if isinstance(value, list) else '()'
    return left, [('', item) for item in value], right
