"""MPII Human Pose: the released .mat file, or the JSON files that pose code reads.

Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art Analysis", CVPR
2014.
``train.json`` and ``valid.json`` (HRNet, mmpose) have the usual split of the public images;
``mpii_annotations.json`` (pytorch-pose) has it too. The released file has no validation split.
Points count from 1. A person has a center and a scale (200 px of height are 1) and no box: the
box that is written is the square of the published crop, 200 px times the scale, its center 15 px
times the scale lower.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.json_files import read_json
from mmext.formats.landmarks.records import (
    MATLAB_SHIFT,
    OCCLUDED,
    UNKNOWN,
    VISIBLE,
    LandmarkImage,
    LandmarkObject,
)
from mmext.formats.mat_files import load_mat

NUM_POINTS = 16
RELEASED = 'mpii_human_pose_v1_u12_1.mat'
HEADS = 'mpii_gt_val.mat'
SPLIT_FILES = {'train': 'train.json', 'val': 'valid.json'}
ONE_FILE = 'mpii_annotations.json'
_SIDE_PX, _LOWER_PX = 200.0, 15.0

Json = Mapping[str, Any]


def read_mpii(root: Path, split: str) -> list[LandmarkImage]:
    """The photos of a split.

    Args:
        root: with ``train.json`` and ``valid.json`` (and ``mpii_gt_val.mat`` for the heads), or
            with ``mpii_annotations.json``, or with the released .mat file; in a folder ``annot``
            or ``annotations`` below it too.
        split: ``'train'`` or ``'val'``; the released file has the former alone.

    Raises:
        MissingFileError: none of these files.
        InputError: a file is broken.
    """
    for folder in (root, root / 'annot', root / 'annotations'):
        if (folder / SPLIT_FILES[split]).is_file():
            return _grouped(_of_split_file(folder, split))
        if (folder / ONE_FILE).is_file():
            return _grouped(_of_one_file(folder / ONE_FILE, split))
    path = root / RELEASED
    if split == 'train' and path.is_file():
        return _released(path)
    raise MissingFileError(
        f'no {SPLIT_FILES[split]}, {ONE_FILE} or, for training, {RELEASED} below {root.absolute()}'
    )


def square(center: Sequence[float], scale: float) -> tuple[float, float, float, float]:
    """x, y, width and height of the published crop around a person, whose center counts from 1."""
    side = _SIDE_PX * scale
    x, y = center[0] + MATLAB_SHIFT, center[1] + MATLAB_SHIFT + _LOWER_PX * scale
    return x - side / 2, y - side / 2, side, side


def _grouped(people: Iterator[tuple[str, LandmarkObject]]) -> list[LandmarkImage]:
    images: dict[str, list[LandmarkObject]] = {}
    for name, person in people:
        images.setdefault(name, []).append(person)
    return [LandmarkImage(name, objects) for name, objects in images.items()]


def _records(path: Path) -> list[Json]:
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise InputError(f'{path}: expected a list of persons')
    return content


def _of_split_file(folder: Path, split: str) -> Iterator[tuple[str, LandmarkObject]]:
    path = folder / SPLIT_FILES[split]
    records = _records(path)
    heads = _heads(folder / HEADS, len(records)) if split == 'val' else None
    for number, record in enumerate(records):
        where = f'{path}, person {number}'
        try:
            points = np.array(record['joints'], np.float64)
            marks = np.array(record['joints_vis'], np.float64)
            name, center, scale = str(record['image']), record['center'], float(record['scale'])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f'{where}: {type(error).__name__}: {error}') from None
        more = {} if heads is None else {'head_bbox': heads[number]}
        yield name, _person(points, marks, center, scale, more, where)


def _of_one_file(path: Path, split: str) -> Iterator[tuple[str, LandmarkObject]]:
    for number, record in enumerate(_records(path)):
        where = f'{path}, person {number}'
        try:
            if bool(record['isValidation']) != (split == 'val'):
                continue
            joints = np.array(record['joint_self'], np.float64).reshape(-1, 3)
            name, center = str(record['img_paths']), record['objpos']
            scale = float(record['scale_provided'])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f'{where}: {type(error).__name__}: {error}') from None
        yield name, _person(joints[:, :2], joints[:, 2], center, scale, {}, where)


def _person(
    points: NDArray[np.float64],
    marks: NDArray[np.float64],
    center: Sequence[float],
    scale: float,
    more: dict[str, Any],
    where: str,
) -> LandmarkObject:
    """A person; a point at or below 0 is not annotated."""
    if points.shape != (NUM_POINTS, 2) or marks.shape != (NUM_POINTS,) or len(center) != 2:
        raise InputError(f'{where}: expected {NUM_POINTS} points, got {list(points.shape)}')
    absent = (points <= 0).all(axis=1)
    visible = np.where(absent, UNKNOWN, np.where(marks > 0, VISIBLE, OCCLUDED))
    return LandmarkObject(points + MATLAB_SHIFT, visible, square(center, scale), more)


def _heads(path: Path, count: int) -> list[list[float]] | None:
    """Boxes of the heads, x, y, width and height; None without the file."""
    if not path.is_file():
        return None
    corners = np.asarray(load_mat(path, ('headboxes_src',))['headboxes_src'], np.float64)
    if corners.shape != (2, 2, count):
        raise InputError(
            f'{path}: headboxes_src: expected [2, 2, {count}], got {list(corners.shape)}'
        )
    first = corners[0] + MATLAB_SHIFT
    return np.concatenate([first, corners[1] - corners[0]]).T.tolist()


def _released(path: Path) -> list[LandmarkImage]:
    """The training images of the released structure, all persons with points."""
    content = load_mat(path, ('RELEASE',), struct_as_record=False, squeeze_me=True)
    release = content['RELEASE']
    images = []
    for item, is_train in zip(
        np.atleast_1d(release.annolist), np.atleast_1d(release.img_train), strict=True
    ):
        if not is_train:
            continue
        people = [_released_person(rect, path) for rect in _structs(item, 'annorect')]
        objects = [person for person in people if person is not None]
        if objects:
            images.append(LandmarkImage(str(item.image.name), objects))
    return images


def _structs(holder: Any, name: str) -> list[Any]:
    """The structures of a field, none if it is empty or missing."""
    return [v for v in np.atleast_1d(getattr(holder, name, [])) if hasattr(v, '_fieldnames')]


def _released_person(rect: Any, path: Path) -> LandmarkObject | None:
    """A person of the released file; None without points or place."""
    holder: Any = getattr(rect, 'annopoints', None)
    place: Any = getattr(rect, 'objpos', None)
    scale: Any = getattr(rect, 'scale', None)
    if not hasattr(holder, 'point') or not hasattr(place, 'x') or not np.size(scale):
        return None
    points, visible = np.zeros((NUM_POINTS, 2)), np.zeros(NUM_POINTS, np.int64)
    for point in _structs(holder, 'point'):
        number = int(point.id)
        if not 0 <= number < NUM_POINTS:
            raise InputError(f'{path}: a point has the id {number}, expected 0 to 15')
        points[number] = float(point.x), float(point.y)
        mark: Any = getattr(point, 'is_visible', [])
        # empty where nobody said; pelvis, thorax and head never have a mark
        visible[number] = OCCLUDED if np.size(mark) and not int(mark) else VISIBLE
    if not visible.any():
        return None
    more: dict[str, Any] = {}
    if all(np.size(getattr(rect, key, [])) for key in ('x1', 'y1', 'x2', 'y2')):
        left, top = float(rect.x1) + MATLAB_SHIFT, float(rect.y1) + MATLAB_SHIFT
        # small numbers are stored in 8 bits: subtract floats
        size = float(rect.x2) - float(rect.x1), float(rect.y2) - float(rect.y1)
        more['head_bbox'] = [left, top, *size]
    box = square((float(place.x), float(place.y)), float(scale))
    return LandmarkObject(points + MATLAB_SHIFT, visible, box, more)
