"""WFLW: one line of text for each face: 98 points, a box, six attributes, the photo.

Wu et al., "Look at Boundary", CVPR 2018. The attributes are the subsets of its tests. Points are
taken as they are written; none is marked as occluded.
"""

from pathlib import Path

import numpy as np

from mmext.errors import InputError, MissingFileError
from mmext.formats.landmarks.records import VISIBLE, LandmarkImage, LandmarkObject
from mmext.formats.text_files import read_text

NUM_POINTS = 98
SUBSETS = ('large_pose', 'expression', 'illumination', 'make_up', 'occlusion', 'blur')
PHOTOS = 'WFLW_images'
LISTS = (
    'WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{split}.txt',
    'list_98pt_rect_attr_train_test/list_98pt_rect_attr_{split}.txt',
    'list_98pt_rect_attr_{split}.txt',
)
_NUMBERS = 2 * NUM_POINTS + 4 + len(SUBSETS)


def read_wflw(root: Path, split: str) -> list[LandmarkImage]:
    """The photos of a split in the order of their first face; a photo may have several.

    Args:
        root: with the folder ``WFLW_annotations``.
        split: ``'train'`` or ``'test'``.

    Raises:
        MissingFileError: the list is missing.
        InputError: a line is broken.
    """
    tried = [root / name.format(split=split) for name in LISTS]
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise MissingFileError(f'no {tried[0]}: it is in WFLW_annotations.tar.gz')
    faces: dict[str, list[LandmarkObject]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            name, face = _face(line, f'{path}, line {number}')
            faces.setdefault(name, []).append(face)
    return [LandmarkImage(name, objects) for name, objects in faces.items()]


def _face(line: str, where: str) -> tuple[str, LandmarkObject]:
    fields = line.split(maxsplit=_NUMBERS)
    try:
        values = np.array(fields[:_NUMBERS], np.float64)
    except ValueError as error:
        raise InputError(f'{where}: {error}') from None
    if len(fields) != _NUMBERS + 1 or not np.isfinite(values).all():
        raise InputError(
            f'{where}: expected {_NUMBERS} numbers ({NUM_POINTS} points, a box, '
            f'{len(SUBSETS)} attributes) and the name of a photo, got {len(fields)} fields'
        )
    points = values[: 2 * NUM_POINTS].reshape(-1, 2)
    left, top, right, bottom = values[2 * NUM_POINTS : 2 * NUM_POINTS + 4].tolist()
    flags = values[-len(SUBSETS) :]
    if right < left or bottom < top or not np.isin(flags, (0, 1)).all():
        raise InputError(f'{where}: the box or the attributes are none: {line.strip()[-80:]}')
    subsets = [name for name, flag in zip(SUBSETS, flags, strict=True) if flag]
    box = left, top, right - left, bottom - top
    more = {'subsets': subsets} if subsets else {}
    return fields[-1].strip(), LandmarkObject(points, np.full(NUM_POINTS, VISIBLE), box, more)
