"""MATLAB's .mat files of version 5: read with a clear error, written without the time of day."""

from pathlib import Path
from typing import Any

from scipy.io import loadmat, savemat

from mmext.errors import InputError, MissingFileError

_HEADER_TEXT_BYTES = 116
_HDF5 = b'\x89HDF'
_HDF5_PLACES = (0, 512)  # MATLAB writes a header of its own before the file


def load_mat(
    path: str | Path, keys: tuple[str, ...], remedy: str = 'check the path', **options: Any
) -> dict[str, Any]:
    """The variables of a file.

    Args:
        path: of the file.
        keys: variables that it has to have.
        remedy: where the file is to be had, for the message if it is missing.
        options: of :func:`scipy.io.loadmat`.

    Raises:
        MissingFileError: no such file.
        InputError: it is no such file, or has not these variables.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file; {remedy}')
    if is_hdf5(path):
        raise InputError(
            f'{path}: a .mat file of version 7.3 (HDF5), expected version 5: save it again in '
            "MATLAB with save(..., '-v7')"
        )
    try:
        content: dict[str, Any] = loadmat(path, **options)
    except Exception as error:  # scipy raises many kinds for broken files
        raise InputError(f'{path}: cannot be read as a .mat file ({error})') from None
    missing = [key for key in keys if key not in content]
    if missing:
        found = sorted(key for key in content if not key.startswith('__'))
        raise InputError(f'{path}: no {", ".join(missing)} in it; it has {found}')
    return content


def save_mat(path: Path, content: dict[str, Any], compress: bool = False) -> None:
    """A .mat file without the time of day that scipy writes into it."""
    savemat(path, content, do_compression=compress)
    with path.open('r+b') as file:
        file.write(b'MATLAB 5.0 MAT-file'.ljust(_HEADER_TEXT_BYTES))


def is_hdf5(path: str | Path) -> bool:
    """Whether a file is HDF5, as .mat files of version 7.3 are."""
    with Path(path).open('rb') as file:
        data = file.read(_HDF5_PLACES[-1] + len(_HDF5))
    return any(data[place : place + len(_HDF5)] == _HDF5 for place in _HDF5_PLACES)
