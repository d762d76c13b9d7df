"""Can the program write where it was told to? Looked at before the model is loaded.

Files in a work folder of the host are its own business; this is about what ``--out`` and
``--show-dir`` name.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmext.errors import InputError


def check_output_folder(option: str, folder: Path) -> None:
    """Check that a folder is there and takes files, or can be made.

    Args:
        option: that names it, for the message.
        folder: the folder; nothing is written.

    Raises:
        InputError: it is a file or below one, not writable, or its disk is full.
    """
    _check_place(f'{option} {folder}', folder)


def check_output_file(option: str, file: Path) -> None:
    """Check that a file can be written; see :func:`check_output_folder`."""
    if file.is_dir():
        raise InputError(f'{option} {file}: is a folder, name a file')
    _check_place(f'{option} {file}', file.parent)
    if file.exists() and not os.access(file, os.W_OK):
        raise InputError(f'{option} {file}: cannot be written to, name another file')


def _check_place(named: str, folder: Path) -> None:
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise InputError(f'{named}: {there} is no folder, name another place')
    for name in folder.absolute().relative_to(there).parts:
        if '\0' in name or len(os.fsencode(name)) > os.pathconf(there, 'PC_NAME_MAX'):
            raise InputError(f'{named}: no folder can be called {name[:40]!r}..., name another')
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f'{named}: {there} cannot be written to, name another place')
    if shutil.disk_usage(there).free == 0:
        raise InputError(f'{named}: the disk of {there} is full, make room')


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn the system's refusal to write into one line; a name that is too long passes.

    Args:
        place: where to, for the message.

    Raises:
        InputError: the disk is full, gone or read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        what = error.strerror or str(error)
        where = error.filename or place
        raise InputError(f'{where} cannot be written: {what}') from error
