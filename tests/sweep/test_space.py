"""What people write as values of a search, and what is tried then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmext.errors import InputError
from mmext.sweep.space import (
    Choice,
    Range,
    describe,
    ends_of,
    parse_search,
    parse_values,
    shuffled_grid,
)


@pytest.mark.parametrize(
    ('written', 'wanted'),
    [
        ('1e-4:1e-2:log', Range(1e-4, 1e-2, log=True)),
        ('0.1:0.5', Range(0.1, 0.5)),
        ('-1:1', Range(-1, 1, whole=True)),
        ('4:64:log', Range(4, 64, log=True, whole=True)),
        ('0:10:5', Range(0, 10, step=5, whole=True)),
        ('0:1:0.25', Range(0, 1, step=0.25)),
        ('SGD,AdamW', Choice(('SGD', 'AdamW'))),
        ('18, 34', Choice(('18', '34'))),
        ('[8,16],[16,32]', Choice(('[8,16]', '[16,32]'))),
        ('a:b,c', Choice(('a:b', 'c'))),
    ],
)
def test_what_is_meant(written: str, wanted: Range | Choice) -> None:
    assert parse_search(f'model.x={written}') == ('model.x', wanted)


@pytest.mark.parametrize(
    ('written', 'message'),
    [
        ('lr', 'expected KEY=LOW:HIGH'),
        ('=1:2', 'expected KEY='),
        ('a..b=1:2', 'expected KEY='),
        ('lr=1e-2:1e-4', 'the low end 0.01 must be below 0.0001'),
        ('lr=0:1:log', 'a log range starts above 0'),
        ('lr=0.0:1.0:2', 'at most the whole range'),
        ('lr=0.0:1.0:-1', 'a step must be above 0'),
        ('lr=1:2:logs', 'after 1:2 expected log or a step'),
        ('lr=0.1', 'at least two different choices'),
        ('lr=a,a', 'at least two different choices'),
        ('lr=a,,b', 'at least two different choices'),
        ('lr=', 'at least two different choices'),
        ('lr=nan:1', 'at least two different choices'),
    ],
)
def test_what_means_nothing(written: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_search(written)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(low=1), 'must be numbers'),
        (dict(low=1, high='2'), 'must be numbers'),
        (dict(low=1, high=True), 'must be numbers'),
        (dict(low=1, high=2, logs=True), "'logs'"),
        ([dict(type='SGD'), dict(type='Adam')], 'a choice is a number, a word'),
        (['a b', 'c'], 'a choice is a number, a word'),
        (3, 'expected a text'),
    ],
)
def test_values_of_a_config_that_mean_nothing(values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_values('x', values)


def test_values_of_a_config() -> None:
    assert parse_values('x', dict(low=1e-4, high=1, log=True)) == Range(1e-4, 1, log=True)
    assert parse_values('x', [True, None, 0.5, [1, 2], (3, 4)]) == Choice(
        ('True', 'None', '0.5', '[1,2]', '(3,4)')
    )
    assert parse_values('x', '1:3') == Range(1, 3, whole=True)


def test_grids() -> None:
    space = {
        'a': Range(0, 1, step=0.25), 'b': Range(2, 4, whole=True), 'c': Choice(('x', 'y')),
        'd': Range(0, 1, step=0.3),
    }  # fmt: skip
    grid = shuffled_grid(space, 0)
    points = {(round(p['a'], 9), p['b'], p['c'], round(p['d'], 9)) for p in grid}
    assert points == {
        (a, b, c, d)
        for a in (0, 0.25, 0.5, 0.75, 1)
        for b in (2, 3, 4)
        for c in 'xy'
        for d in (0, 0.3, 0.6, 0.9)
    }
    assert len(grid) == len(points) and grid == shuffled_grid(space, 0) != shuffled_grid(space, 1)


@pytest.mark.parametrize('endless', [Range(0, 1), Range(1, 8, log=True, whole=True)])
def test_a_range_without_steps_is_no_grid(endless: Range) -> None:
    with pytest.raises(InputError, match='search of x: a grid needs choices'):
        shuffled_grid({'x': endless}, 0)


def test_a_grid_that_is_too_large() -> None:
    with pytest.raises(InputError, match='a grid of 40 x 30 values is larger'):
        shuffled_grid({'x': Range(1, 40, whole=True), 'y': Range(1, 30, whole=True)}, 0)


_RANGES = st.builds(
    lambda low, width, log: Range(low, low + width, log=log),
    st.floats(1e-6, 1e3), st.floats(1e-3, 1e3), st.booleans(),
)  # fmt: skip


@given(_RANGES)
def test_a_range_that_is_written_is_read_back(values: Range) -> None:
    assert parse_values('x', describe(values)) == values
    assert [float(end) for end in ends_of(values)] == [values.low, values.high]
