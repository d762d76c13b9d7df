"""Label crops for the RoI loss of the semantic head.

Source: Xiong et al., UPSNet, CVPR 2019, section 3.1 (RoI loss). The window rule
is the released code's: corners rounded half to even, end exclusive, at
least one pixel; nearest resampling.
"""

import torch
from torch import Tensor


def crop_labels(labels: Tensor, boxes_xyxy: Tensor, size: int, ignore_index: int = 255) -> Tensor:
    """Cut the label map at every box and resize the crops to ``size x size``.

    Args:
        labels: label map, ``[H, W]``, integer.
        boxes_xyxy: ``[G, 4]`` in pixels of the label map; no box gives ``[0, size, size]``.
        size: side of the result in cells.
        ignore_index: label of what a box covers beyond the map.

    Returns:
        ``[G, size, size]``, the dtype of ``labels``.

    >>> labels = torch.arange(16).reshape(4, 4)
    >>> crop_labels(labels, torch.tensor([[0., 0., 4., 4.]]), 2)
    tensor([[[ 0,  2],
             [ 8, 10]]])
    """
    height, width = labels.shape
    corners = boxes_xyxy.round().long()  # [G, 4]
    start, end = corners[:, :2], corners[:, 2:]
    extent = (end - start).clamp_(min=1)  # [G, 2], at least one pixel
    steps = torch.arange(size, device=labels.device)
    # nearest resampling: cell i of `size` reads pixel floor(i * extent / size)
    columns = start[:, :1] + steps * extent[:, :1] // size  # [G, size]
    rows = start[:, 1:] + steps * extent[:, 1:] // size
    inside_x = (columns >= 0) & (columns < width)
    inside_y = (rows >= 0) & (rows < height)
    crops = labels[rows.clamp_(0, height - 1)[:, :, None], columns.clamp_(0, width - 1)[:, None, :]]
    return crops.masked_fill(~(inside_y[:, :, None] & inside_x[:, None, :]), ignore_index)
