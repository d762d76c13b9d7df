"""Puts a generated set into its folder: whole or not at all, once, and never over other files.

A set is written beside its folder under a temporary name and renamed at the
end, so an interrupt leaves no half set, and of two processes that write the
same set one wins and the other takes what is there. ``mmext_demo.json`` holds
what the set was made from, ``SHA256SUMS`` (``sha256sum --check`` reads it) its
files; a set that is there already and unchanged is not written again.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmext.errors import InputError

STAMP = 'mmext_demo.json'
SUMS = 'SHA256SUMS'
STALE_AFTER_SECONDS = 24 * 3600

Identity = dict[str, Any]
Progress = Callable[[int, int], None]
"""Called with (images or clips done, all of them)."""


@dataclass(frozen=True)
class GeneratedSet:
    """A generated set on disk.

    Attributes:
        root: Its folder, to be used as ``data_root``.
        digest: SHA-256 over its files.
        written: False if it was there already.
    """

    root: Path
    digest: str
    written: bool


def store_splits(
    root: str | Path,
    generator: str,
    version: int,
    counts: dict[str, int],
    image_size: tuple[int, int],
    seed: int,
    write: Callable[[Path], None],
    overwrite: bool,
) -> GeneratedSet:
    """Make sure that ``root`` holds a set of splits, by what decides about its content.

    Args:
        root: As for :func:`store_set`.
        generator: Name of the module that draws it.
        version: Of the generator.
        counts: Images or clips of each split.
        image_size: Nominal width and height in pixels.
        seed: Of all draws.
        write: As for :func:`store_set`.
        overwrite: As for :func:`store_set`.
    """
    identity = {
        'generator': generator,
        'version': version,
        **{f'num_{split}': count for split, count in counts.items()},
        'image_size': list(image_size),
        'seed': seed,
    }
    root = Path(root)
    written = store_set(root, identity, write, overwrite)
    return GeneratedSet(root, set_digest(root), written)


def store_set(
    root: Path, identity: Identity, write: Callable[[Path], None], overwrite: bool = False
) -> bool:
    """Make sure that ``root`` holds the set described by ``identity``.

    Args:
        root: The set's folder: absent, empty or a generated set.
        identity: Everything that decides about the content, JSON values.
        write: Writes the set into the folder it is given.
        overwrite: Replace another or a changed generated set.

    Returns:
        True if the set was written, False if it was there.

    Raises:
        InputError: ``root`` holds other files, or another or a changed set
            and ``overwrite`` is not given.
        OSError: The folder cannot be written.
    """
    root = root.resolve()
    if _is_settled(root, identity, overwrite):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    draft = _sibling(root, 'draft')
    try:
        draft.mkdir()
        write(draft)
        sums = _sums(draft)
        (draft / SUMS).write_text(sums, encoding='utf-8')
        (draft / STAMP).write_text(json.dumps(identity, indent=2) + '\n', encoding='utf-8')
        return _move_into_place(draft, root, identity, overwrite)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def set_digest(root: Path) -> str:
    """SHA-256 over the list of the set's files and their sums."""
    return hashlib.sha256((root / SUMS).read_bytes()).hexdigest()


def _is_settled(root: Path, identity: Identity, overwrite: bool) -> bool:
    """True: the set is there; False: it is to be written; else an error."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    stamp = _read_stamp(root)
    if stamp is None:
        raise InputError(
            f'{root} holds files that are no generated set (no {STAMP}); choose another folder'
        )
    if stamp == identity and _is_unchanged(root):
        return True
    if overwrite:
        return False
    if stamp == identity:
        raise InputError(
            f'{root} holds this set, but files were changed or lost since it was written; '
            'delete it or write it again with overwrite'
        )
    differing = ', '.join(
        f'{key} {stamp.get(key)!r} instead of {identity.get(key)!r}'
        for key in sorted({*stamp, *identity})
        if stamp.get(key) != identity.get(key)
    )
    raise InputError(
        f'{root} holds another generated set: {differing}; '
        'choose another folder or replace the set with overwrite'
    )


def _read_stamp(root: Path) -> Identity | None:
    """The stamp of a generated set, None if there is no readable one."""
    try:
        stamp = json.loads((root / STAMP).read_text(encoding='utf-8'))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def _sums(root: Path) -> str:
    """One line per file, in the form of ``sha256sum``."""
    files = sorted(path for path in root.rglob('*') if path.is_file())
    return ''.join(f'{_sum(path)}  {path.relative_to(root).as_posix()}\n' for path in files)


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_unchanged(root: Path) -> bool:
    """Whether every file that was written is there with its content."""
    try:
        lines = (root / SUMS).read_text(encoding='utf-8').splitlines()
        pairs = [line.split('  ', 1) for line in lines]
        return all(_sum(root / name) == expected for expected, name in pairs)
    except (FileNotFoundError, ValueError):
        return False


def _sibling(root: Path, role: str) -> Path:
    return root.parent / f'.{root.name}.mmext-{role}-{uuid.uuid4().hex}'


def _sweep(root: Path) -> None:
    """Remove what killed runs left beside the folder long ago."""
    for path in root.parent.glob(f'.{root.name}.mmext-draft-*'):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_AFTER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _move_into_place(draft: Path, root: Path, identity: Identity, overwrite: bool) -> bool:
    """Rename the finished set; False if another process was first with the same one."""
    if overwrite and _read_stamp(root) is not None:
        retired = _sibling(root, 'draft')
        with suppress(FileNotFoundError):
            root.rename(retired)
            shutil.rmtree(retired)
    try:
        os.rename(draft, root)  # replaces an empty folder, never a filled one
    except OSError:
        if _is_settled(root, identity, overwrite=False):
            return False
        raise
    return True
