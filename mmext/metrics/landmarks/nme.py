"""Normalized mean error of landmarks, its failure rate and the area under its curve.

The error of a face is the mean distance of its annotated points from the predicted ones, divided
by a length of the face (Zafeiriou et al., "The Menpo facial landmark localisation challenge",
CVPRW 2017). Which prediction belongs to which face is a matter of boxes: the best scored one whose
best overlap is that face.

Shapes: N faces, M predictions, K points.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmext.functional.boxes import pairwise_iou
from mmext.metrics.landmarks.lengths import (  # noqa: F401  their home until version 0.2
    BOX_NORMALIZERS,
    Normalizer,
    check_normalizer,
    face_lengths,
)

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


def match_by_box(
    boxes_xyxy: Floats, scores: Floats, faces_xyxy: Floats, min_iou: float = 0.5
) -> Ints:
    """The index of the prediction of each face, ``[N]``, -1 for none.

    A prediction goes to the face that it overlaps most. If several go to one face, the one with the
    best score is taken. Of equal overlaps and scores the first counts.

    Args:
        boxes_xyxy: predictions ``[M, 4]``.
        scores: ``[M]``.
        faces_xyxy: ``[N, 4]``.
        min_iou: smallest overlap.
    """
    chosen = np.full(len(faces_xyxy), -1)
    if not len(boxes_xyxy) or not len(faces_xyxy):
        return chosen
    iou = pairwise_iou(torch.from_numpy(boxes_xyxy), torch.from_numpy(faces_xyxy)).numpy()
    best = iou.argmax(axis=1)
    order = np.argsort(-np.asarray(scores, np.float64), kind='stable')
    order = order[iou[order, best[order]] >= min_iou]
    chosen[best[order[::-1]]] = order[::-1]  # of several values for one place the last one stays
    return chosen


def normalized_errors(
    predicted: Floats, points: Floats, visible: Floats, lengths: Floats
) -> Floats:
    """Mean distance over the annotated points, in lengths of the face; nan without any, ``[N]``.

    Args:
        predicted: ``[N, K, 2]``.
        points: ``[N, K, 2]``.
        visible: ``[N, K]``, 0 = not annotated.
        lengths: ``[N]``.
    """
    distances = np.linalg.norm(predicted - points, axis=2)
    annotated = visible > 0
    total = np.where(annotated, distances, 0).sum(axis=1)
    count = annotated.sum(axis=1)
    means = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    errors: Floats = means / lengths
    return errors


def pooled_error(errors: Floats, counts: Ints) -> float:
    """The mean error over all points of all faces, as some published code has it.

    Where all faces have the same number of annotated points, it is the mean over the faces.

    Args:
        errors: mean of each face ``[n]``.
        counts: of annotated points of each face ``[n]``.
    """
    total = int(counts.sum())
    return float((errors * counts).sum() / total) if total else float('nan')


def failure_rate(errors: Floats, threshold: float) -> float:
    """Share of errors ``[n]`` above the threshold, 0 to 1; nan without any."""
    return float(np.mean(errors > threshold)) if len(errors) else float('nan')


def area_under_curve(errors: Floats, threshold: float) -> float:
    """Area under the curve of the share of faces with an error of at most e, 0 to 1.

    e runs from 0 to the threshold, and the area is divided by the threshold: perfect points have
    1. There is no grid: each face adds the part of the axis to the right of its error.

    Args:
        errors: ``[n]``; nan is returned without any.
        threshold: end of the curve.
    """
    if not len(errors):
        return float('nan')
    return float(np.mean(np.clip(1 - errors / threshold, 0, None)))


def summarize(
    errors: Floats,
    num_faces: int,
    threshold: float,
    quantiles: Sequence[float] = (0.5,),
    counts: Ints | None = None,
) -> dict[str, float]:
    """All values of a set.

    Args:
        errors: of the faces that were found, ``[n]``.
        num_faces: with landmarks, found or not.
        threshold: of failure rate and area.
        quantiles: of the errors.
        counts: annotated points of the faces that were found, ``[n]``; adds ``NME_points``.

    Returns:
        ``NME``, ``failure_rate``, ``AUC``, ``found`` in percent, and ``NME_q50`` for 0.5. A face
        that was not found is a failure in ``failure_rate_all`` and adds no area in ``AUC_all``.
        ``NME`` is the mean over faces, ``NME_points`` that over all points of all faces.
    """
    nothing = float('nan')
    found = len(errors) / num_faces if num_faces else nothing
    rate, area = failure_rate(errors, threshold), area_under_curve(errors, threshold)
    values = {
        'NME': float(errors.mean()) if len(errors) else nothing,
        'failure_rate': rate,
        'AUC': area,
        'found': found,
        'failure_rate_all': 1 - found * (1 - rate) if len(errors) else 1 - found,
        'AUC_all': found * area if len(errors) else found * 0,
    }
    if counts is not None:
        values['NME_points'] = pooled_error(errors, counts)
    for quantile in quantiles:
        middle = float(np.quantile(errors, quantile)) if len(errors) else nothing
        values[f'NME_q{round(100 * quantile)}'] = middle
    return {name: 100 * value for name, value in values.items()}
