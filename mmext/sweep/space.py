"""The values that a sweep tries, as people write them: ``1e-4:1e-2:log``, ``18,34,50``.

A range is LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP; where all of its numbers are written as whole
ones, its values are whole. Anything else is a list of choices, kept as texts that
``--cfg-options`` takes.
"""

import ast
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmext.errors import InputError

_LARGEST_GRID = 1000


class Range(NamedTuple):
    """Numbers from low to high, both included.

    Attributes:
        low: the least.
        high: the greatest.
        log: spread evenly over orders of magnitude.
        step: between neighbours; None: any number.
        whole: whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False


class Choice(NamedTuple):
    """Some values, as texts for ``--cfg-options``."""

    texts: tuple[str, ...]


Values = Range | Choice


def parse_search(text: str) -> tuple[str, Values]:
    """Key and values of ``KEY=VALUES``.

    Raises:
        InputError: it is neither a range nor a list of choices.

    >>> parse_search('optim_wrapper.optimizer.lr=1e-4:1e-2:log')[1]
    Range(low=0.0001, high=0.01, log=True, step=None, whole=False)
    >>> parse_search('model.backbone.depth=18,34,50')
    ('model.backbone.depth', Choice(texts=('18', '34', '50')))
    """
    key, mark, values = text.partition('=')
    if not mark or not all(key.split('.')):
        raise InputError(f'--search {text}: expected KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=A,B,C')
    return key, parse_values(key, values)


def parse_values(key: str, values: Any) -> Values:
    """The values of a key, from a text or, in a config, from a list or a dict.

    Args:
        key: for messages.
        values: as on the command line; a list of choices; or ``dict(low=, high=, log=, step=)``.

    Raises:
        InputError: it is none of these, or a range without values.

    >>> parse_values('x', [[8, 16], 'SGD', None]).texts
    ('[8,16]', 'SGD', 'None')
    >>> parse_values('x', dict(low=1, high=9, step=2))
    Range(low=1, high=9, log=False, step=2, whole=True)
    """
    if isinstance(values, str):
        found = _range_of(key, values)
        return found or _choice(key, _split(values))
    if isinstance(values, Mapping):
        if strangers := set(values) - {'low', 'high', 'log', 'step'}:
            raise InputError(
                f'search of {key}: {sorted(strangers)} are none of low, high, log, step'
            )
        numbers: list[Any] = [values.get(name) for name in ('low', 'high', 'step')]
        if not all(_is_number(number) for number in numbers[: 2 if numbers[2] is None else 3]):
            raise InputError(f'search of {key}: low, high and step must be numbers, got {values}')
        whole = all(isinstance(number, int) for number in numbers if number is not None)
        log = bool(values.get('log', False))
        return _checked(key, Range(numbers[0], numbers[1], log, numbers[2], whole))
    if isinstance(values, list | tuple):
        return _choice(key, [_text_of(key, value) for value in values])
    raise InputError(
        f'search of {key}: expected a text as 1e-4:1e-2:log, a list of choices or '
        f'dict(low=, high=), got {values!r}'
    )


def ends_of(values: Values) -> tuple[str, ...]:
    """The values at which a config is tried out before the first training, as texts."""
    if isinstance(values, Choice):
        return values.texts
    return text(values.low), text(values.high)


def text(value: float | str) -> str:
    """A value as ``--cfg-options`` takes it."""
    return value if isinstance(value, str) else repr(value)


def shuffled_grid(space: Mapping[str, Values], seed: int) -> list[dict[str, Any]]:
    """All values of all keys with one another, in an order that a part of it samples evenly.

    Args:
        space: key to values.
        seed: of the order.

    Raises:
        InputError: a range has no end of values, or there are more than 1000 in all.

    >>> len(shuffled_grid({'x': Choice(('a', 'b')), 'y': Range(1, 3, whole=True)}, 0))
    6
    """
    counts = [_count(key, values) for key, values in space.items()]
    if math.prod(counts) > _LARGEST_GRID:
        raise InputError(
            f'a grid of {" x ".join(map(str, counts))} values is larger than {_LARGEST_GRID}: make '
            'steps wider, or leave --sampler grid out'
        )
    each = [_points(values, count) for values, count in zip(space.values(), counts, strict=True)]
    grid = [dict(zip(space, point, strict=True)) for point in itertools.product(*each)]
    random.Random(seed).shuffle(grid)
    return grid


def _count(key: str, values: Values) -> int:
    """How many values there are."""
    if isinstance(values, Choice):
        return len(values.texts)
    step = _step(values)
    if step is None:
        raise InputError(
            f'search of {key}: a grid needs choices, whole numbers or a step, as '
            f'{text(values.low)}:{text(values.high)}:STEP'
        )
    return math.floor((values.high - values.low) / step + 1e-9) + 1


def _points(values: Values, count: int) -> list[Any]:
    if isinstance(values, Choice):
        return list(values.texts)
    step = _step(values)
    assert step is not None
    return [values.low + step * number for number in range(count)]


def _step(values: Range) -> float | None:
    return values.step or (1 if values.whole and not values.log else None)


def describe(values: Values) -> str:
    """As it is written on the command line."""
    if isinstance(values, Choice):
        return ','.join(values.texts)
    tail = ':log' if values.log else f':{text(values.step)}' if values.step else ''
    return f'{text(values.low)}:{text(values.high)}{tail}'


def _range_of(key: str, written: str) -> Range | None:
    """The range that a text is, None where it is none."""
    parts = [part.strip() for part in written.split(':')]
    if len(parts) not in (2, 3):
        return None
    numbers = [_number(part) for part in parts]
    low, high = numbers[:2]
    if low is None or high is None:
        return None
    log = parts[2:] == ['log']
    if len(parts) == 3 and not log and numbers[2] is None:
        raise InputError(f'search of {key}: after {parts[0]}:{parts[1]} expected log or a step')
    step = None if len(parts) == 2 or log else numbers[2]
    whole = all(isinstance(number, int) for number in numbers if number is not None)
    return _checked(key, Range(low, high, log, step, whole))


def _checked(key: str, found: Range) -> Range:
    if not found.low < found.high:
        raise InputError(
            f'search of {key}: the low end {text(found.low)} must be below {text(found.high)}'
        )
    if found.log and found.low <= 0:
        raise InputError(f'search of {key}: a log range starts above 0, got {text(found.low)}')
    if found.step is not None and (found.log or not 0 < found.step <= found.high - found.low):
        raise InputError(
            f'search of {key}: a step must be above 0, at most the whole range, and without log'
        )
    return found


def _choice(key: str, texts: Sequence[str]) -> Choice:
    if len(texts) < 2 or len(set(texts)) < len(texts) or not all(texts):
        raise InputError(
            f'search of {key}: expected LOW:HIGH or at least two different choices as A,B, got '
            f'{",".join(texts)!r}'
        )
    return Choice(tuple(texts))


def _split(written: str) -> list[str]:
    """Choices between commas that are not in brackets."""
    return [part.strip() for part in _between_commas(written)]


def _between_commas(written: str) -> Iterator[str]:
    depth, start = 0, 0
    for place, sign in enumerate(written):
        depth += (sign in '([') - (sign in ')]')
        if sign == ',' and depth == 0:
            yield written[start:place]
            start = place + 1
    yield written[start:]


def _text_of(key: str, value: Any) -> str:
    """A choice of a config as ``--cfg-options`` takes it."""
    if isinstance(value, list | tuple):
        inner = ','.join(_text_of(key, each) for each in value)
        return f'[{inner}]' if isinstance(value, list) else f'({inner})'
    is_plain = value is None or isinstance(value, bool | int | float | str)
    if not is_plain or (isinstance(value, str) and not set(value).isdisjoint(',()[]= \'"')):
        raise InputError(
            f'search of {key}: a choice is a number, a word, True, False, None or a list of '
            f'these, got {value!r}'
        )
    return str(value)


def _number(written: str) -> float | None:
    """The number that a text is; an int where it is written as one."""
    try:
        value = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return None
    return value if _is_number(value) else None


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)
