"""Which anchor learns which object, as in the released YOLACT.

An anchor takes the object it overlaps most, if the overlap reaches ``positive_iou``. Below
``negative_iou`` it is background, between the two it is neutral: it counts in no loss. Then every
object gets an anchor of its own: of all pairs of an object and an anchor the one with the largest
overlap is taken, both leave, and so on. An anchor that is no object's and lies to more than
``crowd_share`` in a crowd is neutral.

Differences from the released code: an object that overlaps no anchor gets none.

Shapes: G objects, P anchors, I crowds. Boxes are (x1, y1, x2, y2) px.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.functional.mining import BACKGROUND, IGNORE


@dataclass(frozen=True)
class MatchingRules:
    """The thresholds; see the module. The defaults are the released ones."""

    positive_iou: float = 0.5
    negative_iou: float = 0.4
    crowd_share: float = 0.7

    def __post_init__(self) -> None:
        if not 0 < self.negative_iou <= self.positive_iou <= 1:
            raise InputError(
                'matching: expected 0 < negative_iou <= positive_iou <= 1, got '
                f'{self.negative_iou} and {self.positive_iou}'
            )


def match_anchors(
    anchors_xyxy: Tensor, boxes_xyxy: Tensor, crowds_xyxy: Tensor, rules: MatchingRules
) -> Tensor:
    """Assign an object, background or nothing to every anchor of an image.

    Args:
        anchors_xyxy: ``[P, 4]``.
        boxes_xyxy: ``[G, 4]``.
        crowds_xyxy: ``[I, 4]``.
        rules: the thresholds.

    Returns:
        ``[P]`` int64: index of the object, ``BACKGROUND`` or ``IGNORE``.
    """
    assigned = torch.full(
        anchors_xyxy.shape[:1], BACKGROUND, dtype=torch.int64, device=anchors_xyxy.device
    )
    if len(boxes_xyxy):
        iou = pairwise_iou(boxes_xyxy, anchors_xyxy)  # [G, P]
        overlap, box_index = iou.max(dim=0)
        assigned[overlap >= rules.negative_iou] = IGNORE
        assigned = torch.where(overlap >= rules.positive_iou, box_index, assigned)
        anchor_index, box_index = own_anchors(iou)
        assigned[anchor_index] = box_index
    if len(crowds_xyxy):
        inside = _share_inside(anchors_xyxy, crowds_xyxy) > rules.crowd_share
        assigned[(assigned < 0) & inside] = IGNORE
    return assigned


def own_anchors(iou: Tensor) -> tuple[Tensor, Tensor]:
    """An anchor for each object, the pairs with the largest overlaps first.

    An object needs to know its G best anchors alone: no more can be taken by others.

    Args:
        iou: ``[G, P]``, overlaps of objects and anchors.

    Returns:
        Index of the anchor and of the object ``[m]``; all anchors differ, all objects differ, and
        only objects without any overlap (or beyond the number of anchors) have none.
    """
    count = min(iou.shape)
    values, anchors = iou.topk(count, dim=1)  # [G, count]
    values, order = values.flatten().sort(descending=True, stable=True)
    objects, best = order // max(count, 1), anchors.flatten()[order]
    taken: dict[int, int] = {}
    owners: set[int] = set()
    pairs = zip(objects.tolist(), best.tolist(), values.tolist(), strict=True)
    for box, anchor, overlap in pairs:
        if len(owners) == count or overlap <= 0:
            break
        if box not in owners and anchor not in taken:
            owners.add(box)
            taken[anchor] = box
    return (
        torch.tensor(list(taken), dtype=torch.int64, device=iou.device),
        torch.tensor(list(taken.values()), dtype=torch.int64, device=iou.device),
    )


def _share_inside(anchors_xyxy: Tensor, crowds_xyxy: Tensor) -> Tensor:
    """Of each anchor the largest share of its area in one crowd, ``[P]``."""
    starts = torch.maximum(anchors_xyxy[:, None, :2], crowds_xyxy[:, :2])  # [P, I, 2]
    ends = torch.minimum(anchors_xyxy[:, None, 2:], crowds_xyxy[:, 2:])
    areas = (anchors_xyxy[:, 2:] - anchors_xyxy[:, :2]).prod(dim=1)
    return ((ends - starts).clamp(min=0).prod(dim=2) / areas[:, None]).amax(dim=1)
