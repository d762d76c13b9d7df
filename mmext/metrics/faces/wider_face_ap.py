"""Average precision of faces by the protocol of WIDER FACE, exactly and without its loops.

The protocol (Yang et al., "WIDER FACE: A face detection benchmark", CVPR 2016, and its evaluation
code): IoU with widths ``x2 - x1 + 1``; every detection, best first, goes to the face that it
overlaps most; from an IoU of one half on, it is nothing at all if that face is an ignored one, a
hit if it is the first there, a false alarm if it is not. Scores are stretched to 0..1 over the
whole set, the curve has 1000 thresholds, and the area is that under its envelope.

What a detection counts for does not depend on the threshold. So it is found once, put into the bin
of the first threshold that lets the detection pass, and the curve is the cumulative sum of the
bins: the same numbers to the last bit.

An image without any face is left out, as is one without detections (its faces count as missed);
``count_empty=True`` takes the false alarms of images without faces along.

Shapes: D detections, F faces of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError

NUM_THRESHOLDS = 1000
IOU_RANGE = tuple(0.5 + 0.05 * step for step in range(10))
"""The thresholds of AP .5:.95."""

_THRESHOLDS = np.array([1 - (t + 1) / NUM_THRESHOLDS for t in range(NUM_THRESHOLDS)])

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ImageMatches:
    """What is kept of an image: for each detection its best face.

    Attributes:
        scores: ``[D]``, falling.
        ious: with the best face ``[D]``.
        faces: number of the best face ``[D]``, the first of equal ones; -1 without faces.
        num_faces: F.
    """

    scores: Floats
    ious: Floats
    faces: Ints
    num_faces: int


@dataclass(frozen=True)
class MatchTable:
    """All images of a set in one table.

    Attributes:
        bins: the first threshold that each detection passes, ``[D]``.
        ious: ``[D]``.
        faces: number of the best face among those of all images ``[D]``, -1 without.
        num_faces: of all images.
    """

    bins: Ints
    ious: Floats
    faces: Ints
    num_faces: int


def inclusive_iou(first_xywh: Floats, second_xywh: Floats) -> Floats:
    """IoU ``[D, F]`` of boxes whose widths are ``x2 - x1 + 1``, in float64."""
    # one array per side: x and y of a box next to each other would make every operation stride
    ax, ay, aw, ah = np.asarray(first_xywh, np.float64).reshape(-1, 4).T[:, :, None]
    bx, by, bw, bh = np.asarray(second_xywh, np.float64).reshape(-1, 4).T[:, None, :]
    ax2, ay2, bx2, by2 = ax + aw, ay + ah, bx + bw, by + bh
    width = np.minimum(ax2, bx2)
    width -= np.maximum(ax, bx)
    width += 1
    height = np.minimum(ay2, by2)
    height -= np.maximum(ay, by)
    height += 1
    shared = np.maximum(width, 0, out=width)
    shared *= np.maximum(height, 0, out=height)
    union = (ax2 - ax + 1) * (ay2 - ay + 1) + (bx2 - bx + 1) * (by2 - by + 1)
    union -= shared
    # a box with sides below -1 is none: 0 instead of what the division makes of it
    iou: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return iou


def match_image(boxes_xywh: Floats, scores: Floats, faces_xywh: Floats) -> ImageMatches:
    """Sort the detections of an image and find the face that each overlaps most.

    Args:
        boxes_xywh: ``[D, 4]``.
        scores: ``[D]``, any range.
        faces_xywh: ``[F, 4]``, also those to be ignored.

    Raises:
        InputError: a score or a box is not finite, or their numbers differ.
    """
    boxes = np.asarray(boxes_xywh, np.float64).reshape(-1, 4)
    values = np.asarray(scores, np.float64)
    if len(boxes) != len(values):
        raise InputError(f'expected a score for each box, got {boxes.shape} and {values.shape}')
    if not (np.isfinite(boxes).all() and np.isfinite(values).all()):
        raise InputError('detections: expected finite boxes and scores')
    order = np.argsort(-values, kind='stable')
    iou = inclusive_iou(boxes[order], faces_xywh)
    if not iou.shape[1]:
        nothing = np.zeros(len(order))
        return ImageMatches(values[order], nothing, np.full(len(order), -1), 0)
    best = iou.argmax(axis=1)
    return ImageMatches(values[order], iou[np.arange(len(order)), best], best, iou.shape[1])


def tabulate(images: Sequence[ImageMatches], count_empty: bool = False) -> MatchTable:
    """Put the images into one table; scores are stretched over all detections.

    Args:
        images: of the whole set; the order of images does not matter for the result.
        count_empty: keep the detections on images without faces.
    """
    nothing = np.zeros(0)
    scores = np.concatenate([nothing, *(image.scores for image in images)])
    ious = np.concatenate([nothing, *(image.ious for image in images)])
    counts = np.array([image.num_faces for image in images], np.int64)
    starts = np.cumsum(counts) - counts
    faces = np.concatenate(
        [
            np.zeros(0, np.int64),
            *(
                np.where(image.faces >= 0, image.faces + start, -1)
                for image, start in zip(images, starts, strict=True)
            ),
        ]
    )
    bins = _bins(stretch(scores))
    if not count_empty:
        kept = faces >= 0
        bins, ious, faces = bins[kept], ious[kept], faces[kept]
    return MatchTable(bins, ious, faces, int(counts.sum()))


def stretch(scores: Floats) -> Floats:
    """Scores ``[D]`` moved to 0..1; all 1 if they are equal (the published code divides by 0)."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    if low == high:
        return np.ones_like(scores)
    stretched: Floats = (scores - low) / (high - low)
    return stretched


def precision_recall(
    table: MatchTable, counted: Bools, iou_threshold: float = 0.5
) -> tuple[Floats, Floats]:
    """The curve, from the highest threshold to the lowest.

    Args:
        table: the set.
        counted: which faces count; the others are ignored, ``[num_faces]``.
        iou_threshold: of a hit.

    Returns:
        Precision and recall ``[1000]`` each; precision is nan before the first detection,
        recall is nan if no face counts.
    """
    if counted.shape != (table.num_faces,):
        raise InputError(f'counted: expected [{table.num_faces}], got {list(counted.shape)}')
    on_face = table.ious >= iou_threshold
    on_counted = on_face.copy()
    on_counted[on_face] = counted[table.faces[on_face]]
    proposals = ~on_face | on_counted
    hits = _first_of_each(table.faces, on_counted, table.num_faces)
    num_proposals, num_hits = (
        np.cumsum(np.bincount(table.bins[chosen], minlength=NUM_THRESHOLDS))
        for chosen in (proposals, hits)
    )
    with np.errstate(invalid='ignore', divide='ignore'):
        return num_hits / num_proposals, num_hits / np.float64(counted.sum())


def average_precision(table: MatchTable, counted: Bools, iou_threshold: float = 0.5) -> float:
    """Area under the envelope of the curve, 0 to 1; nan if no face counts.

    The arguments are those of :func:`precision_recall`, ``counted`` is ``[num_faces]``.
    """
    if not counted.any():
        return float('nan')
    precision, recall = precision_recall(table, counted, iou_threshold)
    return area_under_envelope(np.nan_to_num(precision, nan=0.0), recall)


def area_under_envelope(precision: Floats, recall: Floats) -> float:
    """Area under the smallest falling curve above the points ``[n]``, for recall from 0 to 1."""
    steps = np.concatenate([[0.0], recall, [1.0]])
    heights = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(heights[::-1])[::-1]
    change = np.flatnonzero(steps[1:] != steps[:-1])
    return float(np.sum((steps[change + 1] - steps[change]) * envelope[change + 1]))


def mean_average_precision(
    table: MatchTable, counted: Bools, iou_thresholds: Sequence[float] = IOU_RANGE
) -> float:
    """Mean over IoU thresholds, 0 to 1; nan if no face counts.

    The arguments are those of :func:`precision_recall`, ``counted`` is ``[num_faces]``.
    """
    return float(np.mean([average_precision(table, counted, t) for t in iou_thresholds]))


def _bins(scores: Floats) -> Ints:
    """Number of the first threshold at or below each score; the last one is 0."""
    rising = _THRESHOLDS[::-1]
    return NUM_THRESHOLDS - np.searchsorted(rising, scores, side='right')


def _first_of_each(faces: Ints, chosen: Bools, num_faces: int) -> Bools:
    """Of the chosen detections the first one on each face; they are sorted within an image."""
    index = np.flatnonzero(chosen)
    first = np.full(num_faces, -1)
    first[faces[index[::-1]]] = index[::-1]  # of several values for one place the last one stays
    hits = np.zeros(len(faces), bool)
    hits[first[first >= 0]] = True
    return hits
