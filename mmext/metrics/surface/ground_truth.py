"""Annotated persons of an image, and how similar predictions are to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from mmext.formats.surface_annotations import has_points, surface_points
from mmext.metrics.surface.masks import Window, overlap, pasted, true_window
from mmext.metrics.surface.matching import MAX_DETECTIONS, ImageSimilarities
from mmext.metrics.surface.point_similarity import (
    Predictions,
    TruePoints,
    point_similarity,
    true_points,
)
from mmext.metrics.surface.vertices import VertexLookup

Floats = NDArray[np.float64]


@dataclass
class TruePerson:
    """An annotated person.

    Attributes:
        box_xywh: px.
        area: px.
        is_crowd: whether it stands for several.
        points: of its surface, None if they are not annotated: it is ignored then.
        window: its mask.
    """

    box_xywh: list[float]
    area: float
    is_crowd: bool
    points: TruePoints | None
    window: Window


def true_person(
    annotation: Mapping[str, Any], size_hw: tuple[int, int], lookup: VertexLookup, where: str
) -> TruePerson:
    """What is compared of an annotation.

    Args:
        annotation: of COCO's form with the keys of DensePose.
        size_hw: of the image.
        lookup: of the surface.
        where: names it in errors.

    Raises:
        InputError: points or masks are none.
    """
    box = [float(value) for value in annotation['bbox']]
    points = surface_points(annotation, where) if has_points(annotation) else None
    return TruePerson(
        box_xywh=box,
        area=float(annotation['area']),
        is_crowd=bool(annotation.get('iscrowd')),
        points=true_points(points, box, lookup) if points is not None else None,
        window=true_window(annotation, size_hw, where),
    )


def compare(
    image_id: int | str,
    persons: Sequence[TruePerson],
    surfaces: Sequence[NDArray[np.uint8]],
    boxes_xywh: Floats,
    scores: Floats,
    size_hw: tuple[int, int],
    lookup: VertexLookup,
    frames_xywh: Floats | None = None,
) -> ImageSimilarities:
    """The similarities of the best detections of an image with its persons.

    Args:
        image_id: of the file.
        persons: G of them.
        surfaces: part, U and V ``[3, h, w]`` of each detection.
        boxes_xywh: ``[D, 4]``, px.
        scores: ``[D]``.
        size_hw: of the image.
        lookup: of the surface.
        frames_xywh: where the surfaces lie ``[D, 4]``, px; None: in the boxes.
    """
    order = np.argsort(-scores, kind='stable')[:MAX_DETECTIONS]
    boxes, scores = boxes_xywh[order], scores[order]
    best = [surfaces[number] for number in order]
    shape = len(order), len(persons)
    points, masks = np.zeros(shape), np.zeros(shape)
    frames = boxes if frames_xywh is None else frames_xywh[order]
    predictions = Predictions(best, frames)
    windows = [
        pasted(surface[0] > 0, frame, size_hw)
        for surface, frame in zip(best, frames.tolist(), strict=True)
    ]
    for column, person in enumerate(persons):
        masks[:, column] = [overlap(found, person.window, person.is_crowd) for found in windows]
        if person.points is not None:
            points[:, column] = point_similarity(person.points, predictions, lookup)
    crowd = np.array([person.is_crowd for person in persons], bool)
    return ImageSimilarities(
        image_id=image_id,
        scores=scores,
        areas=boxes[:, 2] * boxes[:, 3],
        similarities=dict(GPS=points, GPSm=np.sqrt(masks * points), segm=masks),
        box_overlap=_box_overlap(boxes, persons, crowd),
        true_areas=np.array([person.area for person in persons], np.float64),
        ignored=np.array([person.points is None for person in persons], bool),
        crowd=crowd,
    )


def _box_overlap(boxes: Floats, persons: Sequence[TruePerson], crowd: Any) -> Floats:
    if not len(boxes) or not persons:
        return np.zeros((len(boxes), len(persons)))
    true_boxes = np.array([person.box_xywh for person in persons])
    return np.asarray(run_lengths.iou(boxes, true_boxes, crowd.astype(np.uint8)), np.float64)
