"""Weights of other projects under our names, with an account of every key.

A room's ``checkpoint_keys.py`` holds the tables; :func:`rename_keys` applies one, so that a key
that no line of the table knows is an error and not a silent loss.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmext.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPER = 'module.'
_NAMED_KEYS = 3  # keys named in a message


@dataclass
class Converted:
    """A converted state dict.

    Attributes:
        state: our key -> tensor.
        dropped: key of the source -> why it is not in ``state``.
    """

    state: dict[str, Tensor]
    dropped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rename:
    """A source key that ``pattern`` matches as a whole becomes ``target``, as in ``re.sub``."""

    pattern: str
    target: str


@dataclass(frozen=True)
class Drop:
    """A source key that ``pattern`` matches as a whole is left out for ``reason``."""

    pattern: str
    reason: str


def rename_keys(source: Mapping[str, Tensor], table: Sequence[Rename | Drop]) -> Converted:
    r"""Rename or drop every key by the first line of the table that matches it.

    A prefix ``module.`` that all keys share (of a model saved inside a data-parallel wrapper) is
    taken off before, as often as it is there.

    Args:
        source: key -> tensor.
        table: regular expressions over whole keys.

    Returns:
        The same tensors under the new keys; ``dropped`` carries the source's own keys.

    Raises:
        InputError: a key that no line knows, or two keys that become one.

    >>> import torch
    >>> made = rename_keys({'module.a.weight': torch.ones(1), 'module.fc': torch.ones(1)},
    ...                    [Rename(r'a\.(.+)', r'b.\1'), Drop('fc', 'the classifier')])
    >>> list(made.state), made.dropped
    (['b.weight'], {'module.fc': 'the classifier'})
    """
    prefix = ''
    while source and all(key.startswith(prefix + _WRAPPER) for key in source):
        prefix += _WRAPPER
    lines = [(re.compile(line.pattern), line) for line in table]
    converted, unknown = Converted({}), []
    origin: dict[str, str] = {}  # our key -> the source's
    for key, tensor in source.items():
        name = key.removeprefix(prefix)
        line = next(
            ((found, line) for regex, line in lines if (found := regex.fullmatch(name))), None
        )
        if line is None:
            unknown.append(key)
        elif isinstance(line[1], Drop):
            converted.dropped[key] = line[1].reason
        else:
            target = line[0].expand(line[1].target)
            if target in origin:
                raise InputError(f'{origin[target]!r} and {key!r} both become {target!r}')
            origin[target] = key
            converted.state[target] = tensor
    if unknown:
        shown = ', '.join(unknown[:_NAMED_KEYS]) + (', ...' if len(unknown) > _NAMED_KEYS else '')
        raise InputError(f'{len(unknown)} of {len(source)} keys are unknown: {shown}')
    return converted
