"""What is wrong with detections: the kinds of Bolya 2020 (TIDE).

A detection is right if it is the best scored one that overlaps a truth of its class by ``t_f``.
The others, in the order in which it is asked: *localization* (a truth of its class overlaps by
``t_b`` and less than ``t_f``), *class* (a truth of another class overlaps by ``t_f``), *duplicate*
(its truth is taken), *background* (no truth overlaps by ``t_b``), *both* (class and place). A truth
is *missed* if it has no right detection, and none that is a localization or class error of it.

Shape legend: D detections, T truths; boxes (x1, y1, x2, y2) in px.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from mmext.functional.boxes import pairwise_iou

if TYPE_CHECKING:
    from mmext.explain.scene import Detection
    from mmext.explain.truth import Truth

RIGHT, IGNORED = 'right', 'ignored'
KINDS = ('class', 'localization', 'both', 'duplicate', 'background', 'missed')
FOREGROUND_IOU, BACKGROUND_IOU = 0.5, 0.1

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What became of the detections and truths of one image.

    Attributes:
        kinds: D of 'right', 'ignored' or a key of :data:`KINDS`.
        truth_index: ``[D]``, the truth that a detection is of, or should have been; -1 without.
        iou: ``[D]`` with it.
        missed: ``[m]``, the truths that were missed.
        detection_index: ``[T]``, the right detection of each truth; -1 without.
    """

    kinds: list[str]
    truth_index: Ints
    iou: Floats
    missed: Ints
    detection_index: Ints


def judge_detections(detections: 'Sequence[Detection]', truth: 'Truth') -> Judged:
    """Compare the detections of a picture with its truth, see :func:`judge`."""
    return judge(
        np.array([d.box_xyxy for d in detections], float).reshape(-1, 4),
        np.array([d.label for d in detections], np.int64),
        np.array([d.score for d in detections], float),
        truth.boxes_xyxy, truth.labels, truth.ignored,
    )  # fmt: skip


def judge(
    boxes_xyxy: Floats,
    labels: Ints,
    scores: Floats,
    true_boxes_xyxy: Floats,
    true_labels: Ints,
    ignored: npt.NDArray[np.bool_],
) -> Judged:
    """Compare detections with truths.

    Args:
        boxes_xyxy: ``[D, 4]``.
        labels: ``[D]``.
        scores: ``[D]``.
        true_boxes_xyxy: ``[T, 4]``.
        true_labels: ``[T]``.
        ignored: ``[T]``, crowds and the like: what lies in them is neither right nor wrong.
    """
    count, truths = len(labels), len(true_labels)
    overlap = _overlaps(boxes_xyxy, true_boxes_xyxy)
    real = np.where(ignored[None], 0.0, overlap)  # [D, T]
    same = (labels[:, None] == true_labels) & ~ignored
    taken = np.full(truths, -1, np.int64)
    kinds = [''] * count
    truth_index, iou = np.full(count, -1, np.int64), np.zeros(count)
    order = np.argsort(-scores, kind='stable')
    for d in order:
        free = np.where(same[d] & (taken < 0), real[d], 0.0)
        if truths and free.max() >= FOREGROUND_IOU:
            best = int(free.argmax())
            taken[best], kinds[d] = d, RIGHT
            truth_index[d], iou[d] = best, free[best]
    in_crowds = _lies_in(boxes_xyxy, true_boxes_xyxy[ignored])
    for d in order:
        if kinds[d]:
            continue
        kind, best = _fault(np.where(same[d], real[d], 0.0), np.where(same[d], 0.0, real[d]))
        kinds[d] = IGNORED if in_crowds[d] else kind
        truth_index[d], iou[d] = best, real[d, best] if best >= 0 else 0.0
    covered = {int(truth_index[d]) for d in range(count) if kinds[d] in ('class', 'localization')}
    missed = [t for t in range(truths) if taken[t] < 0 and not ignored[t] and t not in covered]
    return Judged(kinds, truth_index, iou, np.array(missed, np.int64), taken)


def _fault(same: Floats, others: Floats) -> tuple[str, int]:
    """The kind of a wrong detection by its overlaps ``[T]``, and the truth it is about."""
    best_same = float(same.max()) if len(same) else 0.0
    best_other = float(others.max()) if len(others) else 0.0
    if BACKGROUND_IOU <= best_same < FOREGROUND_IOU:
        return 'localization', int(same.argmax())
    if best_other >= FOREGROUND_IOU:
        return 'class', int(others.argmax())
    if best_same >= FOREGROUND_IOU:
        return 'duplicate', int(same.argmax())
    if max(best_same, best_other) < BACKGROUND_IOU:
        return 'background', -1
    return 'both', int(others.argmax())


def _overlaps(boxes: Floats, others: Floats) -> npt.NDArray[np.float64]:
    """``[D, T]``."""
    first, second = (
        torch.from_numpy(np.asarray(b, np.float64).reshape(-1, 4)) for b in (boxes, others)
    )
    return np.asarray(pairwise_iou(first, second).numpy(), np.float64)


def _lies_in(boxes: Floats, regions: Floats) -> npt.NDArray[np.bool_]:
    """Whether half of each box ``[D, 4]`` lies in one of the regions ``[n, 4]``."""
    if not len(regions):
        return np.zeros(len(boxes), np.bool_)
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    inside = (high - low).clip(min=0).prod(2)  # [D, n]
    area = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1)
    return np.asarray((inside.max(1) >= 0.5 * area) & (area > 0), np.bool_)
