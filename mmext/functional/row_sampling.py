"""Sparse sampling of feature maps: weighted sums of pixel rows, and the transpose.

Pixels become rows ``[R, C]`` with the channels side by side. Bilinear sampling,
and any average of samples, is then a weighted sum of a few rows: an embedding
bag, which torch gathers row-wise, vectorised and in parallel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag


def pixels_to_rows(maps: Tensor) -> Tensor:
    """Maps ``[N, C, H, W]`` as contiguous rows ``[N*H*W, C]``, without a copy if channels-last.

    The gradient has the memory format of ``maps``.
    """
    rows: Tensor = _PixelsToRows.apply(maps)
    return rows


def rows_to_pixels(rows: Tensor, images: int, height: int, width: int) -> Tensor:
    """``[N*H*W, C]`` -> ``[N, C, H, W]`` in channels-last memory, without a copy."""
    return rows.view(images, height, width, rows.shape[1]).permute(0, 3, 1, 2)


def gather_rows(
    rows: Tensor, ids: Tensor, weights: Tensor, bag_starts: Tensor | None = None
) -> Tensor:
    """Weighted sums of rows, one per bag.

    Args:
        rows: ``[R, C]``, contiguous.
        ids: row numbers, ``[B, E]`` for B bags of E entries, or flat with ``bag_starts``.
        weights: like ``ids``.
        bag_starts: ``[B]``, where each bag begins in flat ``ids``; dtype of ``ids``.

    Returns:
        ``[B, C]``; an empty bag gives 0.
    """
    return embedding_bag(ids, rows, bag_starts, per_sample_weights=weights, mode='sum')


def spread_rows(
    values: Tensor, ids: Tensor, weights: Tensor, bag_ids: Tensor | None, num_rows: int
) -> Tensor:
    """The transpose of :func:`gather_rows`: every row collects from the bags that read it.

    Sorting by row turns the scatter into one more gather, without races.

    Args:
        values: ``[B, C]``, contiguous.
        ids: as in ``gather_rows``.
        weights: like ``ids``.
        bag_ids: int64, the bag of each entry of flat ``ids``; None for ``[B, E]`` ids.
        num_rows: R.

    Returns:
        ``[R, C]``.
    """
    sorted_ids, order = ids.reshape(-1).sort()
    rows = torch.arange(num_rows, dtype=ids.dtype, device=ids.device)
    row_starts = torch.searchsorted(sorted_ids, rows)
    readers = order // ids.shape[1] if bag_ids is None else bag_ids[order]
    return gather_rows(values, readers, weights.reshape(-1)[order], row_starts)


class _PixelsToRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.shape = maps.shape
        ctx.channels_last = maps.is_contiguous(memory_format=torch.channels_last)
        return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_rows: Tensor) -> Tensor:
        images, channels, height, width = ctx.shape
        if ctx.channels_last:
            return rows_to_pixels(grad_rows, images, height, width)
        grad = grad_rows.new_empty(ctx.shape)
        for image, image_rows in zip(
            grad, grad_rows.view(images, height * width, channels), strict=True
        ):
            image.view(channels, height * width).copy_(
                image_rows.T
            )  # 2D: torch transposes it blockwise
        return grad
