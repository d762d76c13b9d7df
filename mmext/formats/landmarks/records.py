"""A photo with its objects and their landmarks, in one form whatever the data set; COCO's JSON.

Points are continuous pixels: (0, 0) is the corner of the image, the middle of the first pixel is
(.5, .5). Readers convert what is counted otherwise: MATLAB's index i becomes i - 1/2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.exports.labeled import shown_size
from mmext.formats.landmark_sets import LandmarkSet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN, OCCLUDED, VISIBLE = 0, 1, 2
MATLAB_SHIFT = -0.5
"""What makes a continuous pixel of an index that counts from 1."""


@dataclass(frozen=True)
class LandmarkObject:
    """A face, a person or a hand.

    Attributes:
        points: ``[K, 2]``, px.
        visible: ``[K]``, 0 = not annotated, 1 = occluded, 2 = visible.
        box_xywh: px; None: around the annotated points.
        more: further keys of its annotation.
    """

    points: Floats
    visible: Ints
    box_xywh: tuple[float, float, float, float] | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def box(self) -> tuple[float, float, float, float]:
        """Its own box, or the smallest one around the annotated points."""
        if self.box_xywh is not None:
            return self.box_xywh
        known = self.points[self.visible > UNKNOWN]
        if not len(known):
            return 0.0, 0.0, 0.0, 0.0
        (left, top), (right, bottom) = known.min(axis=0), known.max(axis=0)
        return float(left), float(top), float(right - left), float(bottom - top)


@dataclass(frozen=True)
class LandmarkImage:
    """A photo and its objects.

    Attributes:
        name: of its file, from the folder of the photos.
        objects: in the order of the files.
        subsets: parts of the test set that the whole photo belongs to.
    """

    name: str
    objects: list[LandmarkObject]
    subsets: tuple[str, ...] = ()


def coco_keypoints(
    images: Sequence[LandmarkImage], kind: LandmarkSet, photos: Path, description: str
) -> dict[str, Any]:
    """The content of a COCO key point file; ids count from 1.

    Args:
        images: at least one.
        kind: what the points are.
        photos: folder of the photos; their sizes are read from their headers.
        description: of the data set.

    Raises:
        MissingFileError: photos are not there.
        InputError: there is no image, a photo is unreadable, or points are no numbers.
    """
    if not images:
        raise InputError(f'{description}: no annotated images')
    lacking = [image.name for image in images if not (photos / image.name).is_file()]
    if lacking:
        raise MissingFileError(
            f'{len(lacking)} of {len(images)} photos are not below {photos.absolute()}, for '
            f'example {lacking[0]}: unpack the photos of {description} there'
        )
    lines: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, 1):
        width, height = shown_size(photos / image.name)
        line: dict[str, Any] = dict(id=image_id, file_name=image.name, width=width, height=height)
        if image.subsets:
            line['subsets'] = list(image.subsets)
        lines.append(line)
        for landmarks in image.objects:
            record = _annotation(landmarks, len(kind.keypoints), image.name)
            annotations.append(dict(id=len(annotations) + 1, image_id=image_id, **record))
    return dict(
        info=dict(description=description, version='1.0'),
        images=lines,
        annotations=annotations,
        categories=[kind.category_line()],
    )


def _annotation(landmarks: LandmarkObject, count: int, name: str) -> dict[str, Any]:
    if landmarks.points.shape != (count, 2):
        raise InputError(f'{name}: expected {count} points, got {len(landmarks.points)}')
    known = landmarks.visible > UNKNOWN
    points = np.where(known[:, None], landmarks.points, 0.0)
    box = landmarks.box()
    if not (np.isfinite(points).all() and np.isfinite(box).all()):
        raise InputError(f'{name}: points or box are no finite numbers')
    triples = np.concatenate([points, landmarks.visible[:, None]], axis=1)
    more = dict(landmarks.more)
    return dict(
        category_id=1,
        bbox=[round(side, 3) for side in box],
        area=round(float(more.pop('area', box[2] * box[3])), 3),
        iscrowd=int(more.pop('iscrowd', 0)),
        keypoints=[round(value, 3) for value in triples.ravel().tolist()],
        num_keypoints=int(known.sum()),
        **more,
    )
