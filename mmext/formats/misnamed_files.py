r"""A file is not where an annotation says: is one there that may be meant?

Exporters write ``C:\photos\a.jpg``, ``/data/upload/3/my%20cat.jpg``, ``a.JPG``, or accents in
another form of Unicode. Such names are not guessed: the file that may be meant is named.
"""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

_MOST_NAMES = 1_000_000  # of a folder that is read


def missing_photo(
    path: str,
    folder: str | None = None,
    of_folder: str = 'data_root and data_prefix.img in the config',
) -> str:
    """What to do about a photo that is not there; to follow "no photo at ...".

    Args:
        path: of the photo, as the data set has made it.
        folder: of the photos; None if it is not known.
        of_folder: what says which folder that is.

    Returns:
        Sentences without a full stop.
    """
    if is_joined_address(path):
        return 'file_name is an address: download the photos and write the names of their files'
    meant = meant_file(path, folder)
    if meant is not None:
        return f'{meant} is there: correct file_name in the annotation file'
    return f'check {of_folder}, and file_name in the annotation file'


def is_joined_address(path: str) -> bool:
    """Whether a path is that of a folder with an address behind it: ``photos/https://...``."""
    return '/' in path.partition('://')[0] and '://' in path


def meant_file(path: str, folder: str | None = None) -> str | None:
    """A file whose name differs as exporters make names differ.

    That is in its folders, in percent signs for other characters, in upper and lower case, in the
    form of its accents, in its ending, or in all of them.

    Args:
        path: that does not exist.
        folder: to look into besides the one that the path leads to.

    Returns:
        Its path; None if there is none, or more than one.
    """
    folded = _folded(path)
    for place in dict.fromkeys((_existing_parent(path), *([folder] if folder else []))):
        names = _names(place)
        for key in (_same, _stem):
            found = [name for name in names if key(_folded(name)) == key(folded)]
            if len(found) == 1:
                return os.path.join(place, found[0])
    return None


def _existing_parent(path: str) -> str:
    parent = Path(path).parent
    while not parent.is_dir() and parent != parent.parent:
        parent = parent.parent
    return str(parent)


def _names(folder: str) -> Iterable[str]:
    """Of the files in a folder; none of one that cannot be read or is too large."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for _, entry in zip(range(_MOST_NAMES), entries, strict=False)]
    except OSError:
        return []
    return names if len(names) < _MOST_NAMES else []


def _folded(path: str) -> str:
    name = unquote(path).replace('\\', '/').rpartition('/')[2]
    return unicodedata.normalize('NFC', name).casefold()


def _same(name: str) -> str:
    return name


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]
