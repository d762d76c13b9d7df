"""Calls in turn and their spread."""

import time

import numpy as np
import pytest

from mmext.benchmark.timing import in_turn, milliseconds_in_turn, spread


def test_everybody_goes_first_equally_often_and_warm_up_is_dropped() -> None:
    called: list[str] = []
    steps = 0

    def call(name: str) -> str:
        called.append(name)
        return f'{name}{len(called)}'

    def advance(count: int) -> None:
        nonlocal steps
        steps += count

    results = in_turn(
        {name: lambda name=name: call(name) for name in 'abc'},  # type: ignore[misc]
        rounds=3,
        warmup=1,
        advance=advance,
    )
    assert ''.join(called) == 'abc' + 'bca' + 'cab' + 'abc'
    assert results == {
        'a': ['a6', 'a8', 'a10'],
        'b': ['b4', 'b9', 'b11'],
        'c': ['c5', 'c7', 'c12'],
    }
    assert steps == 12


def test_a_load_that_comes_and_goes_hits_all_alike() -> None:
    """A machine that gets slower all the time: one after the other would favour the first."""
    clock = [0.0]

    def call() -> float:
        clock[0] += 1
        return clock[0]

    found = in_turn({'first': call, 'second': call}, rounds=30, warmup=0)
    first, second = (np.median(found[name]) for name in ('first', 'second'))
    assert abs(first - second) <= 1


def test_measures_milliseconds() -> None:
    found = milliseconds_in_turn({'long': lambda: time.sleep(0.02), 'short': lambda: None}, 3)
    assert len(found['long']) == len(found['short']) == 3
    assert min(found['long']) >= 20 > max(found['short'])


@pytest.mark.parametrize('count', [1, 2, 3, 10, 101])
def test_quartiles(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count).tolist()
    found = spread(values)
    expected = np.quantile(values, [0.25, 0.5, 0.75])
    np.testing.assert_allclose([found.q1, found.median, found.q3], expected, rtol=0, atol=1e-12)
    assert found.count == count
