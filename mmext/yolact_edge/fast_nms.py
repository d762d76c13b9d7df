"""Fast NMS: all boxes of all classes decide at once, also those that are suppressed themselves.

Bolya et al., "YOLACT", ICCV 2019, section 4: with the boxes of a class sorted by score and X their
table of overlaps above the diagonal, a box is kept if the largest value of its column is at most
the threshold. It removes a little more than greedy NMS, where a suppressed box suppresses nothing.
"""

from typing import NamedTuple

from torch import Tensor

from mmext.functional.boxes import pairwise_iou


class Kept(NamedTuple):
    """The boxes that are kept, best first."""

    box_index: Tensor
    """``[K]`` int64; a box is there once for each class that it is kept in."""
    labels: Tensor
    """``[K]`` int64."""
    scores: Tensor
    """``[K]``."""


def fast_nms(
    boxes_xyxy: Tensor,
    scores: Tensor,
    iou_threshold: float,
    top_k: int = 200,
    max_num: int = 100,
    score_thr: float | None = None,
) -> Kept:
    """Suppress overlapping boxes of the same class.

    Args:
        boxes_xyxy: ``[n, 4]`` px.
        scores: ``[n, C]`` of the C classes, without background.
        iou_threshold: a box that overlaps a better one of its class by more is removed.
        top_k: boxes of a class that are looked at, the best ones.
        max_num: boxes of all classes that are kept, the best ones.
        score_thr: least score (exclusive) of what is kept. ``None``, as released, keeps all: a box
            that is there for one class may be kept in others with any score.

    Returns:
        The kept boxes; none for no boxes.

    >>> import torch
    >>> boxes = torch.tensor([[0., 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    >>> fast_nms(boxes, torch.tensor([[0.9], [0.8], [0.7]]), 0.5).box_index
    tensor([0, 2])
    """
    class_scores, box_index = scores.mT.topk(min(top_k, len(scores)), dim=1)  # [C, k]
    overlap = pairwise_iou(boxes_xyxy[box_index], boxes_xyxy[box_index]).triu_(diagonal=1)
    if not box_index.numel():
        return Kept(box_index.flatten(), box_index.flatten(), class_scores.flatten())
    kept = overlap.amax(dim=1) <= iou_threshold  # [C, k], over the better boxes of each
    if score_thr is not None:
        kept &= class_scores > score_thr
    labels, rank = kept.nonzero(as_tuple=True)
    best, order = class_scores[labels, rank].sort(descending=True, stable=True)
    order = order[:max_num]
    return Kept(box_index[labels, rank][order], labels[order], best[:max_num])
