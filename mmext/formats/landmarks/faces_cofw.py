"""COFW: MATLAB files with photos, boxes, 29 points and their occlusion.

Burgos-Artizzu et al., "Robust face landmark estimation under occlusion", ICCV 2013. The released
files are of version 7.3, that is HDF5, and need the package h5py; files that were saved again as
version 7 do not. The photos are inside; they are written as PNG. Points count from 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError, MissingPackageError
from mmext.formats.landmarks.records import (
    MATLAB_SHIFT,
    OCCLUDED,
    VISIBLE,
    LandmarkImage,
    LandmarkObject,
)
from mmext.formats.mat_files import is_hdf5, load_mat

NUM_POINTS = 29
FILES = {'train': 'COFW_train_color.mat', 'test': 'COFW_test_color.mat'}
_SUFFIX = {'train': 'Tr', 'test': 'T'}

Photo = NDArray[np.uint8]


def read_cofw(root: Path, split: str, photos: Path) -> list[LandmarkImage]:
    """The faces of a split; their photos are written.

    Args:
        root: with the file, or a folder ``COFW_color`` that has it.
        split: ``'train'`` or ``'test'``.
        photos: folder for the photos, which is made.

    Raises:
        MissingFileError: no such file.
        MissingPackageError: it is HDF5 and h5py is not installed.
        InputError: it is no such file, or its tables do not fit together.
    """
    tried = [root / FILES[split], root / 'COFW_color' / FILES[split]]
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise MissingFileError(f'no {tried[0]}: it is in COFW_color.zip')
    keys = {key: f'{key}{_SUFFIX[split]}' for key in ('Is', 'bboxes', 'phis')}
    pictures, boxes, points = _read_hdf5(path, keys) if is_hdf5(path) else _read_mat(path, keys)
    count = len(boxes)
    if boxes.shape != (count, 4) or points.shape != (count, 3 * NUM_POINTS) or not count:
        raise InputError(
            f'{path}: expected boxes [N, 4] and points [N, {3 * NUM_POINTS}], got '
            f'{list(boxes.shape)} and {list(points.shape)}'
        )
    photos.mkdir(parents=True, exist_ok=True)
    images = []
    for number, (picture, box, values) in enumerate(zip(pictures, boxes, points, strict=True), 1):
        name = f'{split}_{number:04d}.png'
        if not cv2.imwrite(str(photos / name), picture):
            raise InputError(f'{path}: photo {number} cannot be written to {photos / name}')
        x, y, occluded = values.reshape(3, NUM_POINTS)
        visible = np.where(occluded > 0, OCCLUDED, VISIBLE)
        left, top, width, height = box.tolist()
        whole = left + MATLAB_SHIFT, top + MATLAB_SHIFT, width, height
        face = LandmarkObject(np.stack([x, y], axis=1) + MATLAB_SHIFT, visible, whole)
        images.append(LandmarkImage(name, [face]))
    return images


def _read_hdf5(
    path: Path, keys: dict[str, str]
) -> tuple[Iterator[Photo], NDArray[np.float64], NDArray[np.float64]]:
    """Photos (BGR or gray), boxes and points; HDF5 has MATLAB's axes from behind."""
    try:
        import h5py
    except ImportError:
        raise MissingPackageError(
            f'{path} is a .mat file of version 7.3 (HDF5): pip install h5py, or save it again in '
            "MATLAB with save(..., '-v7')"
        ) from None
    try:
        file = h5py.File(path, 'r')
        references = np.ravel(file[keys['Is']][()])
        boxes, points = (np.array(file[keys[key]], np.float64).T for key in ('bboxes', 'phis'))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f'{path}: cannot be read as COFW ({error})') from None
    pictures = (_as_photo(np.array(file[reference]).T, path) for reference in references)
    return pictures, boxes, points


def _read_mat(
    path: Path, keys: dict[str, str]
) -> tuple[Iterator[Photo], NDArray[np.float64], NDArray[np.float64]]:
    content = load_mat(path, tuple(keys.values()))
    boxes, points = (np.asarray(content[keys[key]], np.float64) for key in ('bboxes', 'phis'))
    return (_as_photo(cell, path) for cell in np.ravel(content[keys['Is']])), boxes, points


def _as_photo(array: NDArray[Any], path: Path) -> Photo:
    """``[h, w]`` or BGR ``[h, w, 3]`` of MATLAB's gray or RGB."""
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise InputError(
            f'{path}: expected photos [h, w] or [h, w, 3] of uint8, got {list(array.shape)} of '
            f'{array.dtype}'
        )
    return np.ascontiguousarray(array if array.ndim == 2 else array[..., ::-1])
