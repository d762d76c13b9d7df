"""Matching of predictions with persons, and average precision, by the rules of DensePose.

COCO's rules with two additions of the released evaluation: all detections of an image whose persons
are all ignored are ignored too; and a second look at detections that are unmatched at the highest
threshold, see :func:`match_image`.

Shapes: D detections and G persons of an image, T thresholds, A ranges of area.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10, dtype=np.float64)
RECALLS: Floats = np.linspace(0, 1, 101, dtype=np.float64)
AREAS = {'': (0.0, 1e10), 'm': (32.0**2, 96.0**2), 'l': (96.0**2, 1e10)}
MAX_DETECTIONS = 20
BOX_OVERLAP = 0.8


@dataclass
class ImageSimilarities:
    """What is kept of an image.

    Attributes:
        image_id: of the file.
        scores: ``[D]``.
        areas: of the detected boxes ``[D]``, px.
        similarities: by measure ``[D, G]``, 0 to 1.
        box_overlap: IoU of the boxes ``[D, G]``.
        true_areas: ``[G]``, px.
        ignored: persons without points ``[G]``.
        crowd: ``[G]``: it may be matched more than once.
    """

    image_id: int | str
    scores: Floats
    areas: Floats
    similarities: dict[str, Floats]
    box_overlap: Floats
    true_areas: Floats
    ignored: Flags
    crowd: Flags


@dataclass
class Matches:
    """Of D detections of one image at T thresholds.

    Attributes:
        scores: ``[D]``, best first.
        matched: the person of each ``[T, D]``, -1 without.
        ignored: neither right nor wrong ``[T, D]``.
        num_persons: that were to be found.
    """

    scores: Floats
    matched: NDArray[np.int64]
    ignored: Flags
    num_persons: int


def match_image(
    image: ImageSimilarities,
    measure: str,
    area: tuple[float, float],
    thresholds: Floats = THRESHOLDS,
) -> Matches:
    """Match the best 20 detections of an image.

    The second look: a detection without a match at the last threshold takes the free person whose
    box overlaps its own most, by 0.8 or more. At all thresholds it is then ignored if that person
    is, and otherwise not.

    Args:
        image: its similarities.
        measure: one of them.
        area: smallest and largest area of persons, px.
        thresholds: ``[T]``.
    """
    order = np.argsort(-image.scores, kind='stable')[:MAX_DETECTIONS]
    out_of_range = (image.true_areas < area[0]) | (image.true_areas > area[1])
    gt_ignored = image.ignored | out_of_range
    persons = np.argsort(gt_ignored, kind='stable')
    gt_ignored, crowd = gt_ignored[persons], image.crowd[persons]
    similarity = image.similarities[measure][order][:, persons]
    count = len(thresholds), len(order)
    matched = np.full(count, -1, np.int64)
    ignored = np.zeros(count, bool)
    taken = np.zeros((len(thresholds), len(persons)), bool)
    if len(persons):
        limits = np.minimum(thresholds, 1 - 1e-10)
        for number, row in enumerate(similarity):
            _match_one(number, row, limits, gt_ignored, crowd, matched, ignored, taken)
        box_overlap = image.box_overlap[order][:, persons]
        _second_look(box_overlap, gt_ignored, matched, ignored, taken)
        ignored |= gt_ignored.all()
    areas = image.areas[order]
    ignored |= (matched < 0) & ((areas < area[0]) | (areas > area[1]))
    original = np.where(matched >= 0, persons[matched] if len(persons) else -1, -1)
    return Matches(image.scores[order], original, ignored, int((~gt_ignored).sum()))


def _match_one(
    number: int,
    row: Floats,
    limits: Floats,
    gt_ignored: Flags,
    crowd: Flags,
    matched: NDArray[np.int64],
    ignored: Flags,
    taken: Flags,
) -> None:
    """The person of one detection at all thresholds: the most similar free one, the last of equals.

    Persons to be ignored are taken only where no other one is similar enough.
    """
    free = (row >= limits[:, None]) & (row > 0) & (~taken | crowd)  # [T, G]
    for group in (~gt_ignored, gt_ignored):
        values = np.where(free & group, row, -1.0)[:, ::-1]
        best = len(row) - 1 - values.argmax(1)
        is_new = (values.max(1) >= 0) & (matched[:, number] < 0)
        matched[is_new, number] = best[is_new]
        ignored[is_new, number] = gt_ignored[best[is_new]]
    steps = np.flatnonzero(matched[:, number] >= 0)
    taken[steps, matched[steps, number]] = True


def _second_look(
    box_overlap: Floats,
    gt_ignored: Flags,
    matched: NDArray[np.int64],
    ignored: Flags,
    taken: Flags,
) -> None:
    for number in np.flatnonzero(matched[-1] < 0):
        overlaps = np.where(taken[-1], -1.0, box_overlap[number])[::-1]
        best = len(overlaps) - 1 - int(overlaps.argmax())
        if overlaps.max() < BOX_OVERLAP:
            continue
        ignored[:, number] = gt_ignored[best]
        if gt_ignored[best]:
            matched[-1, number] = best
            taken[-1, best] = True


def average_precision(images: Sequence[Matches]) -> tuple[Floats, Floats]:
    """Precision and recall of all images at T thresholds.

    Args:
        images: matched at the same thresholds.

    Returns:
        Mean precision over 101 recalls ``[T]`` and largest recall ``[T]``; nan where nobody was to
        be found.
    """
    total = sum(image.num_persons for image in images)
    if not images or not total:
        count = len(images[0].matched) if images else len(THRESHOLDS)
        return np.full(count, np.nan), np.full(count, np.nan)
    scores = np.concatenate([image.scores for image in images])
    order = np.argsort(-scores, kind='mergesort')
    matched = np.concatenate([image.matched for image in images], axis=1)[:, order] >= 0
    counts = ~np.concatenate([image.ignored for image in images], axis=1)[:, order]
    right = np.cumsum(matched & counts, axis=1, dtype=np.float64)
    wrong = np.cumsum(~matched & counts, axis=1, dtype=np.float64)
    recall = right / total
    precision = right / (right + wrong + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    means = np.zeros(len(matched))
    for step, (reached, values) in enumerate(zip(recall, envelope, strict=True)):
        places = np.searchsorted(reached, RECALLS, side='left')
        means[step] = np.append(values, 0.0)[places].mean()
    largest = recall[:, -1] if recall.shape[1] else np.zeros(len(recall))
    return means, largest


def summarise(
    images: Sequence[ImageSimilarities], measure: str, thresholds: Floats = THRESHOLDS
) -> dict[str, float]:
    """``AP``, ``AP50``, ``AP75``, ``APm``, ``APl`` and ``AR`` likewise, in percent.

    Args:
        images: all of them.
        measure: one of their similarities.
        thresholds: ``[T]``.
    """
    values: dict[str, float] = {}
    for size, area in AREAS.items():
        matches = [match_image(image, measure, area, thresholds) for image in images]
        for name, steps in zip(('AP', 'AR'), average_precision(matches), strict=True):
            values[f'{name}{size}'] = 100 * float(steps.mean())
            if not size:
                for at in (0.5, 0.75):
                    if np.isclose(thresholds, at).any():
                        step = int(np.isclose(thresholds, at).argmax())
                        values[f'{name}{at * 100:.0f}'] = 100 * float(steps[step])
    return values
