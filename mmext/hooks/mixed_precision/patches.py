"""Functions replaced for a while, at the class or module that owns them.

Never on an instance: an attribute there would be copied by hooks that deep-copy
the model and would go on pointing at the original.
"""

import functools
from collections.abc import Callable
from typing import Any

Make = Callable[[Any], Callable[..., Any]]


class _Chain:
    """All replacements of one function, in the order of their arrival."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        self.original = self.installed = vars(owner)[name]
        self.makers: list[Make] = []

    def change(self, edit: Callable[[Make], None], make: Make) -> None:
        """Adds or removes a replacement."""
        edit(make)
        if vars(self.owner)[self.name] is not self.installed:
            return  # somebody else has wrapped it meanwhile and goes on calling what was there
        is_static = isinstance(self.original, staticmethod)
        function = self.original.__func__ if is_static else self.original
        for each in self.makers:
            function = functools.wraps(function)(each(function))
        self.installed = staticmethod(function) if is_static else function
        setattr(self.owner, self.name, self.installed if self.makers else self.original)


_chains: dict[tuple[Any, str], _Chain] = {}


class Patches:
    """Wraps functions and puts the originals back, whatever others do it for meanwhile."""

    def __init__(self) -> None:
        self._made: list[tuple[tuple[Any, str], Make]] = []

    def wrap(self, owner: Any, name: str, make: Make) -> None:
        """Replaces ``owner.name`` by ``make(owner.name)``.

        Args:
            owner: the class or module in whose own namespace the function is.
            name: its name; a static method stays one.
            make: builds the replacement from the function.
        """
        key = owner, name
        chain = _chains.setdefault(key, _Chain(owner, name))
        own = functools.partial(make)  # an object of its own, to be found again
        chain.change(chain.makers.append, own)
        self._made.append((key, own))

    def restore(self) -> None:
        """Takes every replacement out again."""
        while self._made:
            key, own = self._made.pop()
            chain = _chains[key]
            chain.change(chain.makers.remove, own)
            if not chain.makers:
                del _chains[key]


def count(owner: Any, name: str) -> int:
    """How many replacements of ``owner.name`` are in place."""
    chain = _chains.get((owner, name))
    return len(chain.makers) if chain else 0


def owner_of(cls: type, name: str) -> type:
    """The class that a method is inherited from.

    Raises:
        AttributeError: there is no such method.
    """
    for base in cls.__mro__:
        if name in vars(base):
            return base
    raise AttributeError(f'{cls.__name__} has no method {name!r}')
