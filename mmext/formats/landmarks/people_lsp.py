"""Leeds Sports Pose and its extension: ``joints.mat`` beside a folder of photos.

Johnson and Everingham, BMVC 2010 and CVPR 2011. LSP has ``[3, 14, 2000]``, whose third number says
that a point is occluded, and photos ``im0001.jpg``; of them the first half is to train on. The
extension has ``[14, 3, 10000]``, whose third number says that a point is visible, and photos
``im00001.jpg``, all to train on. Points count from 1. Persons have no box: it is that of their
points.
"""

from pathlib import Path

import numpy as np

from mmext.errors import InputError
from mmext.formats.landmarks.records import (
    MATLAB_SHIFT,
    OCCLUDED,
    UNKNOWN,
    VISIBLE,
    LandmarkImage,
    LandmarkObject,
)
from mmext.formats.mat_files import load_mat

NUM_POINTS = 14
TABLE = 'joints.mat'


def read_lsp(root: Path, split: str) -> list[LandmarkImage]:
    """The photos of a split.

    Args:
        root: with ``joints.mat`` and the folder ``images``; of LSP or of its extension.
        split: ``'train'`` or ``'test'``; the extension has the former alone.

    Raises:
        MissingFileError: no such table.
        InputError: it is no such file or has another shape.
    """
    path = root / TABLE
    joints = np.asarray(load_mat(path, ('joints',), 'unpack LSP there')['joints'], np.float64)
    extended = joints.ndim == 3 and joints.shape[:2] == (NUM_POINTS, 3)
    if not extended and (joints.ndim != 3 or joints.shape[:2] != (3, NUM_POINTS)):
        raise InputError(
            f'{path}: joints: expected [3, {NUM_POINTS}, N] or [{NUM_POINTS}, 3, N], got '
            f'{list(joints.shape)}'
        )
    if extended and split == 'test':
        raise InputError(f'{path}: the extension of LSP has no test split')
    table = joints.transpose(2, 0, 1) if extended else joints.transpose(2, 1, 0)  # [N, 14, 3]
    digits = 5 if extended else 4
    half = len(table) if extended else len(table) // 2
    numbers = range(half) if split == 'train' else range(half, len(table))
    images = []
    for number in numbers:
        points, marks = table[number, :, :2], table[number, :, 2] > 0
        seen = marks if extended else ~marks
        absent = (points <= 0).all(axis=1) & ~seen
        visible = np.where(absent, UNKNOWN, np.where(seen, VISIBLE, OCCLUDED))
        person = LandmarkObject(points + MATLAB_SHIFT, visible)
        images.append(LandmarkImage(f'images/im{number + 1:0{digits}d}.jpg', [person]))
    return images
