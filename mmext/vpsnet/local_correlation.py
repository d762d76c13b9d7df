"""Correlation of two feature maps within a small neighborhood, from plain matrix products.

Source: the cost volume of Dosovitskiy et al., "FlowNet", ICCV 2015, section 3, which VPSNet (Kim
et al., CVPR 2020, section 3.2) takes of the target's and the warped reference's features.

A block of 8 x 8 target cells is multiplied by the window of all reference cells that any of them
is compared with; the wanted pairs are diagonals of that product, taken as a strided view. So one
batched product replaces 81 passes over the maps, without a CUDA extension.

Shape legend: N frames, C channels, ``h x w`` cells, d the largest displacement, B the block side,
V = B + 2d the window side, K = 2d + 1, b blocks of all frames.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.errors import InputError

_BLOCK = 8  # a window of 16 x 16 at d = 4: 3.2 times the products that are needed


def local_correlation(target: Tensor, reference: Tensor, max_displacement: int = 4) -> Tensor:
    """Similarity of each cell with the reference's cells around it.

    In float32 at least, also under autocast: the products have either sign.

    Args:
        target: ``[N, C, h, w]``.
        reference: ``[N, C, h, w]``; 0 beyond its border.
        max_displacement: d, in cells.

    Returns:
        ``[N, K * K, h, w]``: mean over channels of ``target(p) * reference(p + (dy, dx))``, dy from
        -d to d, dx from -d to d within it. Differentiable in both.

    Raises:
        InputError: if the shapes differ.
    """
    if target.shape != reference.shape:
        raise InputError(
            f'reference: expected shape {tuple(target.shape)} as the target, '
            f'got {tuple(reference.shape)}'
        )
    count, channels, height, width = target.shape
    dtype = torch.promote_types(target.dtype, torch.float32)
    with torch.autocast(target.device.type, enabled=False):
        below, right = -height % _BLOCK, -width % _BLOCK
        target = F.pad(target.to(dtype), (0, right, 0, below))
        near = max_displacement
        reference = F.pad(reference.to(dtype), (near, near + right, near, near + below))
        products = _windows(target, _BLOCK).transpose(1, 2) @ _windows(
            reference, _BLOCK + 2 * max_displacement
        )  # [b, B * B, V * V]
        pairs = _diagonals(products / channels, max_displacement)  # [b, B, B, K, K]
        rows, columns = (height + below) // _BLOCK, (width + right) // _BLOCK
        maps = pairs.view(count, rows, columns, *pairs.shape[1:]).permute(0, 5, 6, 1, 3, 2, 4)
        maps = maps.reshape(count, -1, height + below, width + right)
    return maps[..., :height, :width]


def _windows(features: Tensor, side: int) -> Tensor:
    """Windows that begin at every block, ``[b, C, side * side]``, from ``[N, C, h, w]``."""
    windows = features.unfold(2, side, _BLOCK).unfold(3, side, _BLOCK)
    return windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, features.shape[1], side * side)


def _diagonals(products: Tensor, max_displacement: int) -> Tensor:
    """The products of cell (i, j) with the window's cells (i + 0..2d, j + 0..2d)."""
    products = products.contiguous()
    side, displacements = _BLOCK + 2 * max_displacement, 2 * max_displacement + 1
    return products.as_strided(
        (len(products), _BLOCK, _BLOCK, displacements, displacements),
        (
            products.stride(0),
            _BLOCK * side**2 + side,  # the next i: a row of cells, and a row down in the window
            side**2 + 1,
            side,
            1,
        ),
    )
