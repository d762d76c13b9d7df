"""Functions replaced and put back."""

import types
from collections.abc import Callable

import pytest

from mmext.hooks.mixed_precision.patches import Patches, owner_of


class Base:
    """With a method and a static method."""

    def method(self, x: int) -> int:
        """Docstring."""
        return x

    @staticmethod
    def static(x: int) -> int:
        return x


class Derived(Base):
    """Inherits them."""


def plus_one(function: Callable[..., int]) -> Callable[..., int]:
    return lambda *args: function(*args) + 1


def test_wraps_at_the_owner_and_restores() -> None:
    originals = dict(vars(Base))
    patches = Patches()
    for name in ('method', 'static'):
        patches.wrap(owner_of(Derived, name), name, plus_one)
    assert Derived().method(1) == Base.static(1) == Derived.static(1) == 2
    assert Base.method.__doc__ == 'Docstring.'
    assert 'method' not in vars(Derived)
    patches.restore()
    assert dict(vars(Base)) == originals
    assert isinstance(vars(Base)['static'], staticmethod)


def test_wraps_twice() -> None:
    patches = Patches()
    patches.wrap(Base, 'method', plus_one)
    patches.wrap(Base, 'method', plus_one)
    assert Base().method(1) == 3
    patches.restore()
    assert Base().method(1) == 1


def test_wraps_functions_of_a_module() -> None:
    module = types.ModuleType('some')
    module.function = abs
    patches = Patches()
    patches.wrap(module, 'function', plus_one)
    assert module.function(-3) == 4
    patches.restore()
    assert module.function is abs


def times_ten(function: Callable[..., int]) -> Callable[..., int]:
    return lambda *args: 10 * function(*args)


@pytest.mark.parametrize('first', [0, 1])
def test_order_of_restoring_does_not_matter(first: int) -> None:
    original = vars(Base)['method']
    both = Patches(), Patches()
    both[0].wrap(Base, 'method', plus_one)
    both[1].wrap(Base, 'method', times_ten)
    assert Base().method(1) == 20
    both[first].restore()
    assert Base().method(1) == (10 if first == 0 else 2)
    both[1 - first].restore()
    assert vars(Base)['method'] is original


def test_leaves_what_strangers_have_put_there() -> None:
    original = Base.method
    patches = Patches()
    patches.wrap(Base, 'method', plus_one)
    Base.method = times_ten(Base.method)
    patches.restore()
    assert Base().method(1) == 20
    Base.method = original
