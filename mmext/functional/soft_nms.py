"""Gaussian soft non-maximum suppression of whole batches, on the device they are on.

Bodla et al., "Soft-NMS", ICCV 2017, section 3. The procedure is greedy: each step takes the best
box, and the other boxes of its class lose score by their overlap with it. All classes are handled
at once, so that boxes are taken in the order of their final scores. The best hundred need a
hundred steps, not one for each box.

Shapes: B images, N boxes, M kept.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mmext.functional.boxes import pairwise_iou


class KeptBoxes(NamedTuple):
    """The best boxes of each image, best first."""

    boxes: Tensor
    """``[B, M, 4]``, merged if ``corner_weights`` were given."""
    scores: Tensor
    """``[B, M]``, decayed; -inf where an image has fewer boxes."""
    indices: Tensor
    """``[B, M]``, index of each in the input."""


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    max_boxes: int,
    *,
    sigma: float = 0.5,
    min_score: float = 0.001,
    extent_px: float = 0.0,
    corner_weights: Tensor | None = None,
    merge_exponent: float = 10.0,
) -> KeptBoxes:
    """The best boxes, after their scores have decayed by the overlaps within each class.

    Args:
        boxes: ``[B, N, 4]``, x1 y1 x2 y2.
        scores: ``[B, N]``; -inf for boxes to be left out.
        labels: ``[B, N]`` integers.
        max_boxes: M becomes ``min(max_boxes, N)``; all if it is not positive.
        sigma: scores decay by ``exp(-IoU^2 / sigma)``.
        min_score: a box that decays below is dropped.
        extent_px: added to widths and heights; 1 where a box includes its last pixel.
        corner_weights: ``[B, N, 2]`` scores of the two corners of each box, for test-time
            augmentation. If given, each corner of a kept box becomes a weighted mean of its own
            and of those of the boxes it suppresses.
        merge_exponent: in that mean a box has the weight ``(1 - decay) ** merge_exponent`` times
            its corner weight.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if boxes.shape != (*scores.shape, 4) or labels.shape != scores.shape or scores.dim() != 2:
        raise ValueError(
            'boxes, scores, labels: expected [B, N, 4], [B, N], [B, N], got '
            f'{list(boxes.shape)}, {list(scores.shape)}, {list(labels.shape)}'
        )
    count = scores.shape[1]
    steps = min(max_boxes, count) if max_boxes > 0 else count
    alive = scores.clone()
    on_cpu = scores.device.type == 'cpu'
    picked_indices, picked_scores, picked_boxes = [], [], []
    for _ in range(steps):
        best_scores, best_index = alive.max(1, keepdim=True)  # [B, 1]
        if on_cpu and bool((best_scores == -torch.inf).all()):
            break  # a GPU would have to wait to know
        best_boxes = boxes.gather(1, best_index[..., None].expand(-1, -1, 4))  # [B, 1, 4]
        iou = pairwise_iou(best_boxes, boxes, extent_px)[:, 0]  # [B, N]
        iou = iou * (labels == labels.gather(1, best_index))
        decay = torch.exp(-iou.square() / sigma)
        alive.scatter_(1, best_index, -torch.inf)
        if corner_weights is not None:
            shares = (1 - decay).pow(merge_exponent) * (alive > -torch.inf)
            shares.scatter_(1, best_index, 1.0)
            best_boxes = _weighted_corners(boxes, shares[..., None] * corner_weights)
        decayed = alive * decay
        alive = decayed.masked_fill((iou > 0) & (decayed < min_score), -torch.inf)
        picked_indices.append(best_index)
        picked_scores.append(best_scores)
        picked_boxes.append(best_boxes)
    if not picked_indices:
        nothing = labels.new_zeros((len(scores), 0), dtype=torch.long)
        return KeptBoxes(boxes[:, :0], scores[:, :0], nothing)
    return KeptBoxes(
        torch.cat(picked_boxes, 1), torch.cat(picked_scores, 1), torch.cat(picked_indices, 1)
    )


def _weighted_corners(boxes: Tensor, weights: Tensor) -> Tensor:
    """Means ``[B, 1, 4]`` of both corners of boxes ``[B, N, 4]``, with weights ``[B, N, 2]``."""
    corners = boxes.unflatten(2, (2, 2))  # [B, N, 2 corners, xy]
    total = weights.sum(1).clamp(min=torch.finfo(weights.dtype).tiny)
    means: Tensor = (corners * weights[..., None]).sum(1) / total[..., None]  # [B, 2, 2]
    return means.flatten(1)[:, None]
