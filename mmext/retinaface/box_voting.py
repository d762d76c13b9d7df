"""Box voting: what non-maximum suppression removes moves the box that it keeps.

Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-aware CNN
model", ICCV 2015; RetinaFace tests with it at an overlap of 0.4 (arXiv 1905.00641 v2). A kept
box becomes the mean of its group, weighted by scores. A box belongs to the group of the best kept
box that it overlaps. Only the boxes change: scores and all other fields stay as they were.
"""

import torch
from torch import Tensor

from mmext.functional.boxes import pairwise_iou

_PAIRS_AT_ONCE = 1 << 24


def vote_boxes(
    boxes_xyxy: Tensor, scores: Tensor, kept_index: Tensor, iou_threshold: float
) -> Tensor:
    """The kept boxes, each moved to the weighted mean of its group.

    Args:
        boxes_xyxy: ``[n, 4]``.
        scores: ``[n]``, over 0.
        kept_index: ``[k]``, the boxes that suppression at the same threshold kept, best first.
        iou_threshold: a box that overlaps a kept one by more belongs to its group.

    Returns:
        ``[k, 4]``.
    """
    if not len(kept_index):
        return boxes_xyxy[kept_index]
    rows = max(1, _PAIRS_AT_ONCE // len(kept_index))
    # the first kept box that overlaps; a box that overlaps none (beyond a limit of kept ones)
    # goes to an extra group that is cut off
    groups = torch.cat(
        [_group(chunk, boxes_xyxy[kept_index], iou_threshold) for chunk in boxes_xyxy.split(rows)]
    )
    groups[kept_index] = torch.arange(len(kept_index), device=kept_index.device)
    weights = scores.new_zeros(len(kept_index) + 1).index_add(0, groups, scores)
    sums = boxes_xyxy.new_zeros(len(kept_index) + 1, 4)
    sums = sums.index_add(0, groups, boxes_xyxy * scores[:, None])
    return sums[:-1] / weights[:-1, None]


def _group(boxes_xyxy: Tensor, leaders_xyxy: Tensor, iou_threshold: float) -> Tensor:
    """The first leader that each box ``[n, 4]`` overlaps, ``[n]``; ``k`` where it overlaps none."""
    inside = pairwise_iou(boxes_xyxy, leaders_xyxy) > iou_threshold  # [n, k]
    first = inside.int().argmax(dim=1)  # argmax takes the first of equals
    return torch.where(inside.any(dim=1), first, len(leaders_xyxy))
