"""NumPy's files, ``.npy`` and ``.npz``: read with a clear error, never with objects in them."""

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError

_BROKEN = (ValueError, OSError, EOFError, BadZipFile, zlib.error)


def read_numpy(path: str | Path) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """The array of an ``.npy`` file, or the arrays of an ``.npz`` by their names.

    Raises:
        InputError: it is no such file, cut off, or holds objects.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        return dict(loaded) if hasattr(loaded, 'files') else np.asarray(loaded)
    except _BROKEN as error:
        raise InputError(f'{path} is no NumPy file without objects: {error}') from None


def read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file by their names.

    Raises:
        InputError: it is no such file, cut off, or holds objects.
    """
    content = read_numpy(path)
    if not isinstance(content, dict):
        raise InputError(f'{path}: expected an .npz file, it holds a single array')
    return content
