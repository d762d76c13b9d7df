"""The loss of the masks: cross entropy in the box of the object, an object counts by its share.

Bolya et al., "YOLACT", ICCV 2019, section 3; sums and norms as in the released code. Differences
from it: cells outside of the box count nothing (there a mask of the truth that sticks out of its
box costs 100 a cell), and a side below one cell counts as one, so that the loss of a speck is
bounded. Computed from logits, it is exact in any precision.

Shapes: n anchors of objects, K prototypes, h x w cells of the map, H x W the canvas.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmext.yolact_edge.mask_assembly import box_windows, mask_logits


def mask_loss(
    prototypes: Tensor,
    coefficients: Tensor,
    targets: Tensor,
    boxes_xyxy: Tensor,
    canvas_size: tuple[int, int],
) -> Tensor:
    """Sum over the anchors of an image of the cross entropy, divided by the area of the box.

    Args:
        prototypes: ``[K, h, w]``.
        coefficients: ``[n, K]``.
        targets: ``[n, h, w]``, 0 or 1.
        boxes_xyxy: ``[n, 4]`` px of the canvas, of the objects.
        canvas_size: (H, W) px.

    Returns:
        Scalar ``[]``; 0, with a gradient of 0, without anchors.
    """
    map_size = prototypes.shape[1:]
    entropy = F.binary_cross_entropy_with_logits(
        mask_logits(prototypes, coefficients), targets, reduction='none'
    )
    entropy = entropy * box_windows(boxes_xyxy, canvas_size, map_size)
    cells = boxes_xyxy.new_tensor([map_size[1] / canvas_size[1], map_size[0] / canvas_size[0]])
    sides = ((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * cells).clamp(min=1)  # [n, 2]
    return (entropy.sum(dim=(1, 2)) / sides.prod(dim=1)).sum()


def choose(count: int, limit: int, device: torch.device) -> Tensor:
    """Positions ``[m]``: all of ``count``, or ``limit`` of them at random if they are more."""
    if count <= limit:
        return torch.arange(count, device=device)
    return torch.randperm(count, device=device)[:limit]
