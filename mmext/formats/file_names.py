"""Names of files made of ids and other names: legal, unique, and inside of their folder."""

import hashlib
import os
import re
from pathlib import PurePosixPath
from urllib.parse import quote

MAX_NAME_BYTES = 255  # of one name on the file systems in use
_HASH_DIGITS = 12
_DRIVE = re.compile(r'^[A-Za-z]:')


def id_name(image_id: object, suffix: str) -> str:
    """A file name made of an id; what has a meaning in a path is escaped as in a URL."""
    # names on disk need not be UTF-8; Python keeps such bytes as surrogates
    return short_name(quote(str(image_id), safe='', errors='surrogateescape'), suffix)


def inner_path(name: str) -> PurePosixPath:
    """A relative path without the steps that leave the folder it is joined with."""
    parts = PurePosixPath(name.replace('\\', '/')).parts
    return PurePosixPath(*(part for part in parts if part != '..' and not part.startswith('/')))


def leaves_folder(name: str) -> bool:
    r"""Whether a name of an annotation file stands for a place outside of its folder.

    >>> [leaves_folder(name) for name in ('a/b.jpg', '../b.jpg', '/b.jpg', 'a\\..\\..\\b.jpg')]
    [False, True, True, True]
    """
    path = PurePosixPath(name.replace('\\', '/'))
    return path.is_absolute() or '..' in path.parts or _DRIVE.match(name) is not None


def short_name(name: str, suffix: str) -> str:
    """A file name made of another, not longer than a file system takes.

    Args:
        name: without folder and suffix.
        suffix: to be added.

    Returns:
        ``name + suffix``, or its beginning with a hash of the whole: different names stay
        different, and the same name gives the same result in every run.
    """
    encoded = os.fsencode(name)
    room = MAX_NAME_BYTES - len(os.fsencode(suffix))
    if len(encoded) <= room:
        return name + suffix
    digits = hashlib.sha256(encoded).hexdigest()[:_HASH_DIGITS]
    kept = encoded[: room - _HASH_DIGITS - 1].decode('utf-8', 'ignore')
    return f'{kept}-{digits}{suffix}'
