"""Config keys that were renamed: the old ones work for one version, with a line of warning.

To be removed with version 0.2, like :mod:`mmext.moved`.
"""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec('P')
R = TypeVar('R')


def accept_old_keys(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function or an ``__init__`` whose keyword arguments have new names.

    Args:
        new_names: old name = new name.

    Returns:
        The decorator. What it decorates raises ``TypeError`` if it is given a value by both names.

    >>> @accept_old_keys(colour='color')
    ... def paint(color: str) -> str:
    ...     return color
    >>> paint(color='red')
    'red'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def renamed(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in new_names.keys() & kwargs.keys():
                new, owner = new_names[old], function.__qualname__.removesuffix('.__init__')
                if new in kwargs:
                    raise TypeError(f'{owner}: {old} is now {new}; got both')
                warnings.warn(
                    f'{owner}: {old} is now {new}; the old name goes with version 0.2',
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renamed

    return decorate
