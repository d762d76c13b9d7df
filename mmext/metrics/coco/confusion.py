"""Which class was taken for which: a confusion matrix of detections.

Detections of a score of at least 0.3 take truths, best score first: at first each the truth of its
own class that it overlaps most, by an IoU of at least one half; those that are left then any truth
that is left. So two classes are confused only where no right detection explains the object. What
is left after that are false alarms and missed objects: the row and the column of the background.

Shape legend: D detections and T truths of one image; boxes (x, y, width, height) in px; K classes.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mmext.functional.boxes import pairwise_iou, xywh_to_xyxy

MIN_SCORE, MIN_IOU = 0.3, 0.5

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class ImageBoxes(NamedTuple):
    """What was found in an image, and what there is."""

    boxes_xywh: Floats
    """``[D, 4]``"""
    labels: Ints
    """``[D]``"""
    scores: Floats
    """``[D]``"""
    true_boxes_xywh: Floats
    """``[T, 4]``"""
    true_labels: Ints
    """``[T]``"""
    crowds: npt.NDArray[np.bool_]
    """``[T]``: what lies in them is neither right nor wrong"""


def confusion_matrix(images: Iterable[ImageBoxes], num_classes: int) -> Ints:
    """Counts ``[K + 1, K + 1]`` of objects, rows truth, columns prediction; last is background.

    Args:
        images: all of a set.
        num_classes: K.

    >>> box = np.array([[0.0, 0, 9, 9]])
    >>> one = np.array([1])
    >>> seen = ImageBoxes(box, one, np.array([0.9]), box, one - 1, np.array([False]))
    >>> confusion_matrix([seen], 2).tolist()
    [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for image in images:
        sure = np.flatnonzero(image.scores >= MIN_SCORE)
        order = sure[np.argsort(-image.scores[sure], kind='stable')]
        labels, overlap = image.labels[order], _overlaps(image, order)  # [D], [D, T]
        taken = _matches(overlap, labels, image)
        for label, truth in zip(labels.tolist(), taken.tolist(), strict=True):
            counts[image.true_labels[truth] if truth >= 0 else num_classes, label] += 1
        in_crowd = _in_crowds(image, order) & (taken < 0)
        counts[num_classes] -= np.bincount(labels[in_crowd], minlength=num_classes + 1)
        missed = ~image.crowds
        missed[taken[taken >= 0]] = False
        counts[:, num_classes] += np.bincount(image.true_labels[missed], minlength=num_classes + 1)
    return counts


def _matches(overlap: Floats, labels: Ints, image: ImageBoxes) -> Ints:
    """The truth that each detection takes ``[D]``, -1 for none."""
    taken = np.full(len(labels), -1, np.int64)
    free = ~image.crowds
    for own_class in (True, False):
        for number in np.flatnonzero(taken < 0):
            allowed = free & ((image.true_labels == labels[number]) | (not own_class))
            candidates = np.where(allowed, overlap[number], 0.0)
            if candidates.size and candidates.max() >= MIN_IOU:
                taken[number] = candidates.argmax()
                free[taken[number]] = False
    return taken


def _overlaps(image: ImageBoxes, order: Ints) -> Floats:
    """IoU ``[D, T]``."""
    found, there = (
        torch.from_numpy(xywh_to_xyxy(np.asarray(boxes, np.float64).reshape(-1, 4)))
        for boxes in (image.boxes_xywh[order], image.true_boxes_xywh)
    )
    return np.asarray(pairwise_iou(found, there).numpy(), np.float64)


def _in_crowds(image: ImageBoxes, order: Ints) -> npt.NDArray[np.bool_]:
    """Whether half of each detection ``[D]`` is in one crowd, as COCO compares with crowds."""
    crowds = xywh_to_xyxy(image.true_boxes_xywh[image.crowds])
    inside = np.zeros(len(order), np.bool_)
    boxes = image.boxes_xywh[order]
    for left, top, right, bottom in crowds.tolist():
        width = np.minimum(boxes[:, 0] + boxes[:, 2], right) - np.maximum(boxes[:, 0], left)
        height = np.minimum(boxes[:, 1] + boxes[:, 3], bottom) - np.maximum(boxes[:, 1], top)
        shared = width.clip(min=0) * height.clip(min=0)
        inside |= (shared > 0) & (shared >= 0.5 * boxes[:, 2] * boxes[:, 3])
    return inside
