"""Pickles of arrays, as detectron2 and DensePose publish them, read without running their code."""

import pickle
from pathlib import Path
from typing import Any

from mmext.errors import InputError

_ARRAYS = {
    ('_codecs', 'encode'),  # bytes, as a pickle of Python 2 has them
    *(('numpy', name) for name in ('ndarray', 'dtype')),
    *(
        (module, name)
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for name in ('_reconstruct', 'scalar')
    ),
    *((f'numpy.{core}.numeric', '_frombuffer') for core in ('core', '_core')),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Arrays and nothing else: a pickle could run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f'{module}.{name} is no array')
        return super().find_class(module, name)


def read_arrays(path: str | Path) -> Any:
    """The content of a pickle of arrays, numbers, texts, lists and dicts.

    Raises:
        InputError: it is no such file, damaged, or holds anything else.
    """
    try:
        with Path(path).open('rb') as file:
            return _ArrayUnpickler(file, encoding='latin1').load()
    except Exception as error:  # pickles fail in many ways
        raise InputError(f'{path}: cannot be read as a pickle of arrays ({error})') from None
