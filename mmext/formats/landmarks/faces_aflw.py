"""AFLW with 19 points: the table of Zhu et al., ``AFLWinfo_release.mat``, beside the photos.

Köstinger et al., "Annotated Facial Landmarks in the Wild", ICCV-W 2011; Zhu et al., "Unconstrained
Face Alignment via Cascaded Compositional Learning", CVPR 2016: 20,000 faces to train on and the
others for tests, of which those with all points visible are the frontal ones.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError
from mmext.formats.landmarks.records import UNKNOWN, VISIBLE, LandmarkImage, LandmarkObject
from mmext.formats.mat_files import load_mat

NUM_POINTS = 19
NUM_TRAIN = 20_000
TABLE = 'AFLWinfo_release.mat'
PHOTOS = 'flickr'

Floats = NDArray[np.float64]


def read_aflw(root: Path, split: str, num_train: int = NUM_TRAIN) -> list[LandmarkImage]:
    """The photos of a split in the order of the table's permutation.

    Args:
        root: with the table.
        split: ``'train'`` or ``'test'``.
        num_train: faces to train on, the first of the permutation.

    Raises:
        MissingFileError: no such table.
        InputError: it is no such file, or its columns do not fit together.
    """
    path = root / TABLE
    keys = ('bbox', 'data', 'mask_new', 'nameList', 'ra')
    content = load_mat(path, keys, 'it comes with the code of CCL, not with AFLW')
    names = [str(np.ravel(cell)[0]) for cell in np.ravel(content['nameList'])]
    boxes, points, mask = (np.asarray(content[key], np.float64) for key in keys[:3])
    order = np.ravel(content['ra']).astype(np.int64) - 1
    expected = {'bbox': (len(names), 4), 'data': (len(names), 2 * NUM_POINTS)}
    expected['mask_new'] = (len(names), NUM_POINTS)
    for key, shape in expected.items():
        if np.shape(content[key]) != shape:
            raise InputError(
                f'{path}: {key}: expected {list(shape)} for {len(names)} names, got '
                f'{list(np.shape(content[key]))}'
            )
    if not np.array_equal(np.sort(order), np.arange(len(names))):
        raise InputError(f'{path}: ra is no permutation of {len(names)} faces')
    x, y = points[:, :NUM_POINTS], points[:, NUM_POINTS:]
    corners = _corners(boxes, x, y, mask > 0)
    chosen = order[:num_train] if split == 'train' else order[num_train:]
    faces: dict[str, list[LandmarkObject]] = {}
    for i in chosen.tolist():
        visible = np.where(mask[i] > 0, VISIBLE, UNKNOWN)
        left, top, right, bottom = corners[i].tolist()
        more = {'subsets': ['frontal']} if (visible == VISIBLE).all() else {}
        face = LandmarkObject(
            np.stack([x[i], y[i]], axis=1), visible, (left, top, right - left, bottom - top), more
        )
        faces.setdefault(names[i], []).append(face)
    return [LandmarkImage(name, objects) for name, objects in faces.items()]


def _corners(boxes: Floats, x: Floats, y: Floats, known: NDArray[np.bool_]) -> Floats:
    """Boxes as x1, y1, x2, y2 ``[N, 4]``; the table may have x1, x2, y1, y2.

    The reading is taken in which more points lie in their boxes.
    """
    readings = boxes, boxes[:, [0, 2, 1, 3]]
    inside = [
        int(
            (known & (x >= b[:, :1]) & (y >= b[:, 1:2]) & (x <= b[:, 2:3]) & (y <= b[:, 3:4])).sum()
        )
        for b in readings
    ]
    return readings[int(inside[1] > inside[0])]
