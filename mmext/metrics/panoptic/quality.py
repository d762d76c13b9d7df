"""Panoptic quality (PQ) of one image and of a data set, in numpy.

Source: Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4, with the
rules of the COCO evaluation: a segment pair of one class is a true positive when
its IoU, taken without the void pixels of the ground truth, exceeds 0.5; crowd
regions are never matched and never missed; a false prediction is forgiven when
more than half of it lies on void or on the crowd region of its class.

Of several crowd regions of one class in one image only the last one listed
forgives: so does the reference evaluation, and published numbers rest on it.

Shapes: H, W the image; G ground truth segments; P predicted segments; C classes.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.functional.row_runs import row_runs

IntArray = npt.NDArray[np.signedinteger[Any]]
FloatArray = npt.NDArray[np.float64]

VOID_LABEL = -1
IOU, TP, FP, FN = range(4)  # rows of a count table [4, C]
MEASURES = ('PQ', 'SQ', 'RQ')


class Overlaps(NamedTuple):
    """How many pixels each pair of ids shares."""

    gt_ids: IntArray
    """Distinct ids of the ground truth, ascending, ``[G]``."""
    pred_ids: IntArray
    """Distinct ids of the prediction, ascending, ``[P]``."""
    areas_px: IntArray
    """Pixels with this pair of ids, ``[G, P]``."""


def overlap_table(gt_map: IntArray, pred_map: IntArray) -> Overlaps:
    """Counts the pixels of every pair of ground truth and predicted id.

    Args:
        gt_map: ids ``[H, W]``, any integers.
        pred_map: ids ``[H, W]``, any integers.

    >>> overlap_table(np.array([[5, 5, 900]]), np.array([[1, 2, 2]])).areas_px.tolist()
    [[1, 1], [0, 1]]
    """
    starts, lengths = row_runs(gt_map, pred_map)
    gt_ids, gt_rows = np.unique(gt_map.ravel()[starts], return_inverse=True)
    pred_ids, pred_columns = np.unique(pred_map.ravel()[starts], return_inverse=True)
    shape = len(gt_ids), len(pred_ids)
    # weights are summed as float64: exact, an image has fewer than 2^53 pixels
    areas = np.bincount(gt_rows * shape[1] + pred_columns, lengths, minlength=shape[0] * shape[1])
    return Overlaps(gt_ids, pred_ids, areas.reshape(shape).astype(np.int64))


def match_segments(
    areas_px: IntArray,
    void_areas_px: IntArray,
    gt_labels: IntArray,
    gt_is_crowd: npt.NDArray[np.bool_],
    pred_labels: IntArray,
    num_classes: int,
) -> FloatArray:
    """Sum of the IoUs of the matches, true positives, false positives and negatives by class.

    Args:
        areas_px: shared pixels of the segments, ``[G, P]``; the ground truth in the
            order of its list (see the module's text on crowds).
        void_areas_px: pixels of each predicted segment on void, ``[P]``.
        gt_labels: class of each ground truth segment, ``[G]`` in ``[0, C)``.
        gt_is_crowd: ``[G]``.
        pred_labels: class of each predicted segment, ``[P]`` in ``[0, C)`` or ``VOID_LABEL``.
        num_classes: C.

    Returns:
        Count table ``[4, C]`` with the rows ``IOU, TP, FP, FN``.
    """
    pred_areas = areas_px.sum(axis=0) + void_areas_px
    unions = areas_px.sum(axis=1)[:, None] + (pred_areas - void_areas_px) - areas_px  # [G, P]
    matchable = (gt_labels[:, None] == pred_labels) & ~gt_is_crowd[:, None]
    ious = np.where(matchable, areas_px / np.maximum(unions, 1), 0.0)
    matched_gt, matched_pred = np.nonzero(ious > 0.5)  # a segment exceeds .5 with one other at most

    crowd_of_class = np.full(num_classes, -1)
    crowd_of_class[gt_labels[gt_is_crowd]] = np.flatnonzero(gt_is_crowd)  # the last one stays
    crowds = crowd_of_class[pred_labels]  # [P]; a void prediction gets any, it is no error anyway
    on_crowd = np.flatnonzero(crowds >= 0)
    forgiven_areas = void_areas_px.copy()
    forgiven_areas[on_crowd] += areas_px[crowds[on_crowd], on_crowd]
    is_false = (pred_labels != VOID_LABEL) & (2 * forgiven_areas <= pred_areas)
    is_false[matched_pred] = False
    is_missed = ~gt_is_crowd
    is_missed[matched_gt] = False

    def count(labels: IntArray, weights: FloatArray | None = None) -> FloatArray:
        return np.bincount(labels, weights, minlength=num_classes).astype(np.float64)

    true_labels = gt_labels[matched_gt]
    return np.stack(
        [
            count(true_labels, ious[matched_gt, matched_pred]),
            count(true_labels),
            count(pred_labels[is_false]),
            count(gt_labels[is_missed]),
        ]
    )


def classwise_quality(counts: FloatArray) -> FloatArray:
    """PQ, SQ and RQ of each class.

    Args:
        counts: count table ``[4, C]``, summed over the images.

    Returns:
        ``[3, C]``, 0 to 100; nan for a class that is neither in the ground truth
        nor predicted.
    """
    iou_sum, tp, fp, fn = counts
    errors = 0.5 * (fp + fn)
    sizes = np.where(tp + errors > 0, tp + errors, np.nan)  # nan passes on to all three
    sq = np.where(np.isnan(sizes), np.nan, iou_sum / np.maximum(tp, 1))
    return 100 * np.stack([iou_sum / sizes, sq, tp / sizes])


def panoptic_quality(counts: FloatArray, is_thing: Sequence[bool]) -> dict[str, float]:
    """PQ, SQ and RQ averaged over all classes, over the things and over the stuff.

    Args:
        counts: count table ``[4, C]``, summed over the images.
        is_thing: ``[C]``.

    Returns:
        ``PQ, SQ, RQ, PQ_th, SQ_th, RQ_th, PQ_st, SQ_st, RQ_st``, 0 to 100. Classes
        that occur nowhere do not count; a group without any class that occurs is nan.
    """
    quality, things = classwise_quality(counts), np.asarray(is_thing, dtype=bool)
    results: dict[str, float] = {}
    for suffix, group in (('', np.ones_like(things)), ('_th', things), ('_st', ~things)):
        values = quality[:, group & ~np.isnan(quality[0])]
        means = values.mean(axis=1) if values.size else np.full(len(MEASURES), np.nan)
        for measure, mean in zip(MEASURES, means.tolist(), strict=True):
            results[measure + suffix] = mean
    return results


def classwise_values(counts: FloatArray, classes: Sequence[str]) -> dict[str, float]:
    """PQ, SQ and RQ of each class under names that every logger takes.

    Args:
        counts: count table ``[4, C]``, summed over the images.
        classes: class names, ``[C]``.

    Returns:
        ``{'PQ/person': ..., 'SQ/person': ..., ...}``, nan for a class that occurs nowhere;
        see :func:`name_by_class`.
    """
    return name_by_class(classwise_quality(counts), MEASURES, classes)


def name_by_class(
    values: FloatArray, measures: Sequence[str], classes: Sequence[str]
) -> dict[str, float]:
    """Values of each class under names that every logger takes.

    Args:
        values: ``[M, C]``.
        measures: names of the M rows.
        classes: class names, ``[C]``.

    Returns:
        ``{'{measure}/{class}': value}``. Characters of a class besides letters, digits and
        ``_-. `` become ``_``; should two names become equal, the label is appended to the
        later one.
    """
    named: dict[str, float] = {}
    for label, column in enumerate(values.T.tolist()):
        name = re.sub(r'[^A-Za-z0-9_\-. ]', '_', classes[label])
        if f'{measures[0]}/{name}' in named:
            name = f'{name}_{label}'
        named |= {f'{m}/{name}': v for m, v in zip(measures, column, strict=True)}
    return named
