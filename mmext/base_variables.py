"""Base variables of a config that did not get their value.

mmengine writes a placeholder for ``{{_base_.name}}``, runs the file, and puts the value in where a
placeholder is the whole value. In a sum or a text it stays: ``{{_base_.data_root}} + 'val.json'``
is the file ``_data_root_58ff5fval.json``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from mmext.errors import InputError

_VARIABLE = re.compile(r'\{\{\s*_base_\.([\w.]+)\s*\}\}')


class Placeholder(NamedTuple):
    """A string of a config that may hold a placeholder."""

    key: str
    """Dotted, where the string is; of a dict's key the key itself is the last part."""
    variable: str
    token: str
    """What looks like the placeholder."""
    text: str
    """The string."""


def check_base_variables(config: Config, name: str, read_again: Callable[[], Config]) -> None:
    """Refuse a config in which a placeholder is left.

    A placeholder ends in digits drawn anew at each reading. A text that looks like one and is the
    same at a second reading, as ``_model_202611`` in a file name, is innocent.

    Args:
        config: as read.
        name: of the config, for the message.
        read_again: reads the same file; called only where something looks like a placeholder.

    Raises:
        InputError: with the key, the variable and the remedy.
    """
    suspects = list(_suspects(config))
    if not suspects:
        return
    steady = {suspect.token for suspect in _suspects(read_again())}
    for key, variable, token, text in suspects:
        if token not in steady:
            raise InputError(
                f'config file {name}: the base variable {{{{_base_.{variable}}}}} has no value in '
                f'{key}={text!r}: mmengine fills it in only where it is the whole value. As a '
                f'part of a sum or a text write _base_.{variable} without braces and quotes'
            )


def _suspects(config: Config) -> Iterator[Placeholder]:
    # the text of a config is that of all files it was made from
    variables = {name.lower(): name for name in _VARIABLE.findall(config.text)}
    if not variables:
        return
    # a text may hold a part of a placeholder, as after `[:-1]`
    names = '|'.join(map(re.escape, sorted(variables, key=len, reverse=True)))
    pattern = re.compile(f'_({names})_[0-9a-f]{{1,6}}', re.IGNORECASE)
    for key, text in _strings(dict(config.items()), ''):
        for match in pattern.finditer(text):
            yield Placeholder(key, variables[match[1].lower()], match[0], text)


def _strings(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every string in a nested structure, also those that are keys, with its dotted path."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            inner = f'{path}.{key}' if path else str(key)
            if isinstance(key, str):
                yield inner, key
            yield from _strings(value, inner)
    elif isinstance(node, list | tuple | set | frozenset):
        for number, value in enumerate(node):
            yield from _strings(value, f'{path}.{number}')
