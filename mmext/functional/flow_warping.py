"""Warping of feature maps along an optical flow.

Source: VPSNet (Kim et al., "Video Panoptic Segmentation", CVPR 2020), section 3.2: the reference
features are aligned to the target frame. A flow tells for each pixel of the target how far away
its content lies in the reference, in pixels, (x, y): the reference is read at ``p + flow(p)``.

Deviation: with ``align_corners=True`` (default) a flow of zero is the identity. The released code
scales the coordinates for that rule but samples with the other one, which moves content by up to
half a pixel towards the border; ``align_corners=False`` does the same, for its weights.

Shape legend: N maps, C channels, ``h x w`` cells.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F


def resize_flow(flow: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """A flow on another grid, its values in the cells of that grid.

    Args:
        flow: ``[N, 2, H, W]``, (x, y) in its own pixels.
        size_hw: h and w.

    Returns:
        ``[N, 2, h, w]``, bilinear with half-pixel centers.
    """
    height, width = flow.shape[-2:]
    if (height, width) == tuple(size_hw):
        return flow
    resized = F.interpolate(flow, size=size_hw, mode='bilinear', align_corners=False)
    scale = resized.new_tensor([size_hw[1] / width, size_hw[0] / height])
    return resized * scale[:, None, None]


def warp(features: Tensor, flow: Tensor, align_corners: bool = True) -> Tensor:
    """Features read at ``p + flow(p)``, bilinear; what lies outside counts as 0.

    In float32 at least, also under autocast: coordinates in half precision are off by up to a
    cell from 256 cells on.

    Args:
        features: ``[N, C, h, w]``, of the reference.
        flow: ``[N, 2, h, w]``, (x, y) in cells, from target to reference.
        align_corners: see the module text.

    Returns:
        ``[N, C, h, w]`` in the dtype of ``features``. Differentiable in both.

    Raises:
        ValueError: on shapes that do not fit.
    """
    count, _, height, width = features.shape
    if flow.shape != (count, 2, height, width):
        raise ValueError(
            f'flow: expected shape {(count, 2, height, width)} as the features, '
            f'got {tuple(flow.shape)}'
        )
    dtype = torch.promote_types(features.dtype, torch.float32)
    with _without_autocast(features.device.type):
        sizes = flow.new_tensor([width, height], dtype=dtype)
        positions = _cells(height, width, features.device, dtype) + flow.to(dtype).movedim(1, -1)
        # -1 and 1 are the centers of the outermost cells; a single cell has its center at 0
        grid = positions * (2 / (sizes - 1).clamp(min=1)) - (sizes > 1).to(dtype)
        warped = F.grid_sample(features.to(dtype), grid, align_corners=align_corners)
    return warped.to(features.dtype)


def _without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Nothing where there is none: a graph that is exported has no place for it."""
    if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def _cells(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The position (x, y) of each cell, ``[h, w, 2]``."""
    rows = torch.arange(height, device=device, dtype=dtype)
    columns = torch.arange(width, device=device, dtype=dtype)
    return torch.stack(torch.meshgrid(columns, rows, indexing='xy'), dim=-1)
