"""What masks and the semantic map are trained to be.

Bolya et al., "YOLACT", ICCV 2019, sections 3 and 4; resizing as in the released code: bilinear,
over one half. Shapes: G objects, C classes, H x W the canvas, h x w a map of it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def masks_on_map(masks: Tensor, canvas_size: tuple[int, int], map_size: Sequence[int]) -> Tensor:
    """The masks of objects on a map that covers the canvas.

    Args:
        masks: ``[G, height, width]``, 0 or 1, of the image or of the canvas already; the image is
            the upper left part of the canvas.
        canvas_size: (H, W) px.
        map_size: (h, w) cells.

    Returns:
        ``[G, h, w]`` float32, 0 or 1.
    """
    if not len(masks):
        return masks.new_zeros((0, *map_size), dtype=torch.float32)
    missing = [canvas_size[axis] - masks.shape[axis + 1] for axis in (0, 1)]
    on_canvas = F.pad(masks.float(), (0, missing[1], 0, missing[0]))
    resized = F.interpolate(on_canvas[None], tuple(map_size), mode='bilinear', align_corners=False)
    return (resized[0] > 0.5).float()


def semantic_target(masks: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Where each class is: channel c is the union of the masks of label c.

    Args:
        masks: ``[G, h, w]``, 0 or 1.
        labels: ``[G]`` int64, 0 to C - 1.
        num_classes: C.

    Returns:
        ``[C, h, w]``, 0 or 1; all 0 without objects.

    >>> semantic_target(torch.ones(1, 1, 2), torch.tensor([0]), 2)
    tensor([[[1., 1.]],
    <BLANKLINE>
            [[0., 0.]]])
    """
    covered = masks.new_zeros((num_classes, *masks.shape[1:]))
    return (covered.index_add_(0, labels, masks) > 0).to(masks.dtype)
