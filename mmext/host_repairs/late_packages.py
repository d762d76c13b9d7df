"""Packages that mmdet imports for a few of its parts, imported when one of those is used.

Augmentations of lanes, PAA's mixtures of Gaussians, corruptions of images and the smoothing of
tracks bring in scikit-learn, imgaug, numba and half of SciPy: a third of the processor time that
every program waits for before it does anything.
"""

import builtins
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

LATE = ('imagecorruptions', 'imgaug', 'scipy.interpolate', 'scipy.optimize', 'sklearn')
"""Their names are only called in the host's code: none is a base class or asked what it is."""


class LateName:
    """A name of a package: the package is imported when the name is called.

    Args:
        path: ``package.module.name``.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> 'LateName':
        if name.startswith('__'):
            raise AttributeError(name)
        return LateName(f'{self._path}.{name}')

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What the name itself returns.

        Raises:
            ImportError: its package does not import.
        """
        return pkgutil.resolve_name(self._path)(*arguments, **options)

    def __repr__(self) -> str:
        return f'<{self._path}, imported when it is called>'


@contextmanager
def late_packages(importer: str) -> Iterator[None]:
    """Within it the modules of one package get late names of ``LATE``, all others the packages.

    A package that is not installed is missed as ever.

    Args:
        importer: the package, ``'mmdet'``.
    """
    there = tuple(name for name in LATE if find_spec(name.partition('.')[0]))
    prefix, ordinary = f'{importer}.', builtins.__import__

    def late(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        asked = level == 0 and f'{name}.'.startswith(tuple(f'{package}.' for package in there))
        if asked and ((globals or {}).get('__name__') or '').startswith(prefix):
            return LateName(name if fromlist else name.partition('.')[0])
        return ordinary(name, globals, locals, fromlist, level)

    builtins.__import__ = late
    try:
        yield
    finally:
        builtins.__import__ = ordinary
