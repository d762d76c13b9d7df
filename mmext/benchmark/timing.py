"""Calls that take turns, so that all of them meet the same load of the machine."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar('Key', bound=Hashable)
Value = TypeVar('Value')


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one thing: the quartiles and how many there were."""

    q1: float
    median: float
    q3: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """The quartiles of at least one value.

    >>> spread([4.0, 1.0, 2.0, 3.0, 10.0])
    Spread(q1=2.0, median=3.0, q3=4.0, count=5)
    """
    if len(values) < 2:
        return Spread(values[0], values[0], values[0], len(values))
    q1, median, q3 = statistics.quantiles(values, n=4, method='inclusive')
    return Spread(q1, median, q3, len(values))


def in_turn(
    calls: Mapping[Key, Callable[[], Value]],
    rounds: int,
    warmup: int = 1,
    advance: Callable[[int], None] = lambda steps: None,
) -> dict[Key, list[Value]]:
    """Call everything once a round; what went first in one round goes last in the next.

    Args:
        calls: what to call.
        rounds: how often; the results are kept.
        warmup: rounds before, whose results are dropped.
        advance: told about every call, for a progress bar.

    Returns:
        The results of each call, ``rounds`` of them.
    """
    results: dict[Key, list[Value]] = {key: [] for key in calls}
    order = list(calls)
    for number in range(-warmup, rounds):
        for key in order:
            result = calls[key]()
            if number >= 0:
                results[key].append(result)
            advance(1)
        order = order[1:] + order[:1]
    return results


def milliseconds_in_turn(
    calls: Mapping[Key, Callable[[], object]], rounds: int, warmup: int = 1
) -> dict[Key, list[float]]:
    """Wall-clock milliseconds of functions that take turns, see :func:`in_turn`."""

    def timed(function: Callable[[], object]) -> float:
        start = time.perf_counter()
        function()
        return 1e3 * (time.perf_counter() - start)

    return in_turn(
        {key: lambda function=function: timed(function) for key, function in calls.items()},  # type: ignore[misc]
        rounds,
        warmup,
    )


def waiter(device_type: str) -> Callable[[], None]:
    """A function that returns when the device has done all it was given."""
    if device_type == 'cuda':
        import torch

        return torch.cuda.synchronize
    return lambda: None
