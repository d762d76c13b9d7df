"""300W: a ``.pts`` file of 68 points beside each photo.

Sagonas et al., "300 Faces in-the-Wild Challenge", ICCV-W 2013. Training: AFW and the training parts
of HELEN and LFPW. Tests: 'common' (the test parts of HELEN and LFPW) and 'challenge' (IBUG)
together are the full set; the 600 photos of the challenge itself are another one. Coordinates
are pixel indices that count from 1.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.landmarks.records import MATLAB_SHIFT, VISIBLE, LandmarkImage, LandmarkObject

NUM_POINTS = 68
FOLDERS = {
    'train': {'afw': '', 'helen/trainset': '', 'lfpw/trainset': ''},
    'val': {'helen/testset': 'common', 'lfpw/testset': 'common', 'ibug': 'challenge'},
    'test': {'300w/01_indoor': 'indoor', '300w/02_outdoor': 'outdoor'},
}
"""Folders of each split, in any case of letters, and the subset that each is."""

_PHOTO_SUFFIXES = ('.jpg', '.png', '.jpeg', '.JPG', '.PNG')
_HEAD = re.compile(r'\s*version\s*:\s*1(?:\.0)?\s+n_points\s*:\s*(\d+)\s*\{(.*)\}\s*', re.DOTALL)


def read_pts(path: Path) -> NDArray[np.float64]:
    """The points of a ``.pts`` file as they are written, ``[n, 2]``.

    Raises:
        InputError: it is no such file.
    """
    text = path.read_text(encoding='utf-8', errors='replace').lstrip('\ufeff')
    match = _HEAD.fullmatch(text)
    if match is None:
        raise InputError(
            f'{path}: no .pts file: expected "version: 1", "n_points: {NUM_POINTS}" and the points '
            'in braces'
        )
    try:
        values = np.array(match.group(2).split(), np.float64)
    except ValueError as error:
        raise InputError(f'{path}: {error}') from None
    if len(values) != 2 * int(match.group(1)) or not np.isfinite(values).all():
        raise InputError(
            f'{path}: n_points is {match.group(1)}, but {len(values)} numbers are in the braces'
        )
    return values.reshape(-1, 2)


def read_300w(root: Path, split: str) -> list[LandmarkImage]:
    """The photos of a split, by folder and name.

    Args:
        root: with the folders of ``FOLDERS``.
        split: ``'train'``, ``'val'`` (the full set) or ``'test'`` (300 indoor, 300 outdoor).

    Raises:
        MissingFileError: a folder, or the photo of a ``.pts`` file, is missing.
        InputError: a file is broken or has other points.
    """
    images = []
    for name, subset in FOLDERS[split].items():
        folder = _folder(root, name)
        files = sorted(folder.rglob('*.pts'))
        if not files:
            raise MissingFileError(f'{folder}: no .pts files; unpack the annotations of 300W there')
        for path in files:
            points = read_pts(path)
            if len(points) != NUM_POINTS:
                raise InputError(f'{path}: expected {NUM_POINTS} points, got {len(points)}')
            face = LandmarkObject(points + MATLAB_SHIFT, np.full(NUM_POINTS, VISIBLE))
            photo = _photo(path).relative_to(root).as_posix()
            images.append(LandmarkImage(photo, [face], (subset,) if subset else ()))
    return images


def _folder(root: Path, name: str) -> Path:
    """A folder below the root, whatever the case of its letters."""
    folder = root
    for part in name.split('/'):
        found = [p for p in _folders(folder) if p.name.lower() == part]
        if not found:
            raise MissingFileError(f'no folder {name} below {root.absolute()}: it is part of 300W')
        folder = found[0]
    return folder


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _photo(points: Path) -> Path:
    for suffix in _PHOTO_SUFFIXES:
        photo = points.with_suffix(suffix)
        if photo.is_file():
            return photo
    raise MissingFileError(f'{points}: no photo of that name beside it')
