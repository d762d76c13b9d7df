"""COCO's persons, and COCO-WholeBody: body, feet, face and hands as sets of their own.

Lin et al., ECCV 2014; Jin et al., "Whole-Body Human Pose Estimation in the Wild", ECCV 2020. A
whole body has 133 points: 17 of the body, 6 of the feet, 68 of the face, 21 of each hand.
Coordinates are taken as they are written. A part is an object of its own where the file says that
it is valid.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.json_files import read_json
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.records import OCCLUDED, VISIBLE, LandmarkImage, LandmarkObject

BODY_FILE = 'annotations/person_keypoints_{split}2017.json'
WHOLE_FILE = 'annotations/coco_wholebody_{split}_v1.0.json'
PARTS = {
    'body': 'coco',
    'whole': 'coco_wholebody',
    'feet': 'coco_feet',
    'face': '300w',
    'hands': 'coco_hand',
}
"""What can be taken out, and the set of points that it is."""

_WHOLE = ('keypoints', 'foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts')
# key of the points, of the box and of the word that they are valid
_OF_PART = {
    'feet': (('foot_kpts', None, 'foot_valid'),),
    'face': (('face_kpts', 'face_box', 'face_valid'),),
    'hands': (
        ('lefthand_kpts', 'lefthand_box', 'lefthand_valid'),
        ('righthand_kpts', 'righthand_box', 'righthand_valid'),
    ),
}
Json = Mapping[str, Any]


def read_coco_part(root: Path, split: str, part: str) -> list[LandmarkImage]:
    """The images of a split that have such a part, in the order of the file.

    Args:
        root: of COCO: with ``annotations``.
        split: ``'train'`` or ``'val'``.
        part: one of ``PARTS``; ``'body'`` reads COCO's own file if it is there.

    Raises:
        MissingFileError: no such file.
        InputError: it is broken.
    """
    path = root / WHOLE_FILE.format(split=split)
    own = root / BODY_FILE.format(split=split)
    if part == 'body' and own.is_file():
        path = own
    if not path.is_file():
        raise MissingFileError(
            f'no {path.absolute()}: it comes from '
            f'{"COCO-WholeBody" if part != "body" else "COCO, person_keypoints"}'
        )
    content = read_json(path)
    if not isinstance(content, dict) or not {'images', 'annotations'} <= set(content):
        raise InputError(f'{path}: expected a COCO file with images and annotations')
    objects: dict[Any, list[LandmarkObject]] = {}
    for number, annotation in enumerate(content['annotations']):
        where = f'{path}, annotation {annotation.get("id", number)}'
        try:
            found = list(_objects(annotation, part, where))
        except (KeyError, TypeError) as error:
            raise InputError(f'{where}: {type(error).__name__}: {error}') from None
        objects.setdefault(annotation['image_id'], []).extend(found)
    return [
        LandmarkImage(str(image['file_name']), objects[image['id']])
        for image in content['images']
        if objects.get(image['id'])
    ]


def _objects(annotation: Json, part: str, where: str) -> Iterator[LandmarkObject]:
    count = len(LANDMARK_SETS[PARTS[part]].keypoints)
    if part in ('body', 'whole'):
        keys = _WHOLE if part == 'whole' else _WHOLE[:1]
        values = [value for key in keys for value in annotation[key]]
        kept = ('segmentation', 'area', 'iscrowd')
        more = {key: annotation[key] for key in kept if key in annotation}
        yield _object(values, count, annotation['bbox'], more, where)
        return
    if annotation.get('iscrowd'):
        return
    for points_key, box_key, valid_key in _OF_PART[part]:
        if not annotation.get(valid_key):
            continue
        box = annotation[box_key] if box_key else None
        more = {'side': points_key.partition('hand')[0]} if part == 'hands' else {}
        found = _object(annotation[points_key], count, box, more, where)
        if found.visible.any():
            yield found


def _object(values: Any, count: int, box: Any, more: dict[str, Any], where: str) -> LandmarkObject:
    triples: NDArray[np.float64] = np.array(values, np.float64)
    if triples.shape != (3 * count,):
        raise InputError(f'{where}: expected {count} points, got {triples.size / 3:g}')
    triples = triples.reshape(count, 3)
    marks = triples[:, 2]
    # faces and hands may have a score between 0 and 1 in the place of a mark
    scored = (marks > 0) & (marks < 1)
    visible = np.where(scored | (marks >= VISIBLE), VISIBLE, np.where(marks > 0, OCCLUDED, 0))
    corners = None if box is None else tuple(float(side) for side in box)
    return LandmarkObject(triples[:, :2], visible, corners, more)  # type: ignore[arg-type]
