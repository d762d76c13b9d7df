"""RoIAlign (average pooling) from multi-threaded torch operators.

He et al., "Mask R-CNN", 2017, section 3. Same results as mmcv's kernel, which
runs on one thread on a CPU and visits every sample of a bin; here a bin is one
weighted sum of pixel rows (see ``row_sampling``). The samples of a bin form a
grid, so its weights are the outer product of the weights along y and along x,
and neighboring samples share pixels: with the adaptive ``ceil(bin) = s``
samples per axis a bin reads ``(s + 1)^2`` rows instead of ``(2 * s)^2``.

Shape legend: N images, C channels, R RoIs, ``oh x ow`` bins per RoI.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmext.functional.row_sampling import gather_rows, pixels_to_rows, rows_to_pixels, spread_rows

# Entries (weighted rows) handled at once; bounds the memory for huge RoIs on fine maps.
_MAX_ENTRIES = 1 << 22


def roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Averages bilinear samples in the bins of each RoI.

    Samples up to one cell outside the map read the border, farther ones count
    as 0. Computed in float32 (float64 if the features are).

    Args:
        features: ``[N, C, H, W]``.
        rois: ``[R, 5]``, image number and box_xyxy in px.
        output_size: (oh, ow).
        spatial_scale: cells per px.
        sampling_ratio: samples per bin and axis; 0: one per cell, rounded up.
        aligned: coordinates count from cell centers; False is the older rule
            without the half cell shift and with RoIs of at least one cell.

    Returns:
        ``[R, C, oh, ow]`` in channels-last memory and the dtype of ``features``;
        0 for a RoI without area in the adaptive mode. Differentiable once, with
        respect to ``features``.

    Raises:
        ValueError: if ``rois`` is not ``[R, 5]`` or holds a value that is not finite.
    """
    if rois.dim() != 2 or rois.shape[1] != 5:
        raise ValueError(f'rois: expected [R, 5], got {list(rois.shape)}')
    if not rois.isfinite().all():
        bad = int((~rois.isfinite()).any(1).sum())
        raise ValueError(f'rois: expected finite values, {bad} of {len(rois)} RoIs have others')
    dtype = torch.promote_types(features.dtype, torch.float32)
    boxes = _bins(rois.detach().to(dtype), output_size, spatial_scale, sampling_ratio, aligned)
    rows = pixels_to_rows(features.to(dtype))
    size = (features.shape[2], features.shape[3])
    pooled = [
        _PoolRows.apply(rows, *_entries(part, output_size, size))
        for part in _parts(boxes, output_size)
    ]
    bins = torch.cat(pooled) if pooled else rows[:0]
    return rows_to_pixels(bins, len(rois), *output_size).to(features.dtype)


class _Bins(NamedTuple):
    """Sampling geometry of R RoIs, in cells; per axis pairs are (y, x)."""

    images: Tensor  # [R] int32
    starts: Tensor  # [R, 2] of the first bin
    sizes: Tensor  # [R, 2] of every bin
    samples: Tensor  # [R, 2] int64, samples per bin

    def select(self, index: Tensor | slice) -> '_Bins':
        return _Bins(*(field[index] for field in self))


def _bins(
    rois: Tensor, output_size: tuple[int, int], scale: float, sampling_ratio: int, aligned: bool
) -> _Bins:
    corners = rois[:, [2, 1, 4, 3]] * scale - (0.5 if aligned else 0.0)  # yxyx
    extents = corners[:, 2:] - corners[:, :2]
    if not aligned:
        extents = extents.clamp(min=1)
    sizes = extents / extents.new_tensor(output_size)
    if sampling_ratio > 0:
        samples = torch.full_like(sizes, sampling_ratio, dtype=torch.int64)
    else:
        samples = sizes.ceil().clamp(min=0).long()
    return _Bins(rois[:, 0].int(), corners[:, :2], sizes, samples)


def _parts(boxes: _Bins, output_size: tuple[int, int]) -> list[_Bins]:
    """Consecutive RoIs whose entries together stay near the limit."""
    entries = (boxes.samples + 1).prod(1) * (output_size[0] * output_size[1])
    part_ids = entries.cumsum(0) // _MAX_ENTRIES
    starts = torch.searchsorted(part_ids, torch.unique(part_ids)).tolist()
    bounds = [*starts, len(entries)]
    return [boxes.select(slice(start, stop)) for start, stop in pairwise(bounds)]


def _entries(
    boxes: _Bins, output_size: tuple[int, int], size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The weighted rows of all bins; RoIs with equal sample grids are made together.

    Returns:
        Flat row numbers (int32) and weights, the number of entries per bin
        ``[R*oh*ow]`` with the bins in group order, and that order of the RoIs ``[R]``.
    """
    grids, groups = torch.unique(boxes.samples, dim=0, return_inverse=True)
    ids, weights, lengths = [], [], []
    order = groups.argsort()
    for members, grid in zip(order.split(groups.bincount().tolist()), grids.tolist(), strict=True):
        group = boxes.select(members)
        y_ids, y_weights = _axis_entries(group, 0, grid[0], output_size[0], size[0])
        x_ids, x_weights = _axis_entries(group, 1, grid[1], output_size[1], size[1])
        y_ids = y_ids + (group.images * size[0])[:, None, None]
        # [R, oh, Ey] and [R, ow, Ex] -> [R, oh, ow, Ey, Ex]
        group_ids = y_ids[:, :, None, :, None] * size[1] + x_ids[:, None, :, None, :]
        group_weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
        ids.append(group_ids.flatten())
        weights.append(group_weights.flatten())
        entries = group_ids.shape[3] * group_ids.shape[4]
        lengths.append(members.new_full((group_ids.shape[:3].numel(),), entries))
    return torch.cat(ids), torch.cat(weights), torch.cat(lengths), order


def _axis_entries(
    boxes: _Bins, axis: int, samples: int, bins: int, size: int
) -> tuple[Tensor, Tensor]:
    """Cells and weights ``[R, bins, E]`` that average ``samples`` samples along one axis."""
    sizes = boxes.sizes[:, axis, None, None]
    bin_ids = torch.arange(bins, device=sizes.device)[:, None]
    steps = torch.arange(samples, device=sizes.device) + 0.5
    position = boxes.starts[:, axis, None, None] + bin_ids * sizes + steps * sizes / samples
    inside = (position >= -1) & (position <= size)
    position = position.clamp(0, size - 1)  # [R, bins, samples]
    low = position.floor()
    high_weights = (position - low) * inside / samples
    low_weights = inside / samples - high_weights
    low_ids = low.int()
    span = int((low_ids[..., -1] - low_ids[..., 0]).max()) + 2 if low_ids.numel() else 0
    if span < 2 * samples:  # neighboring samples share cells: one entry per cell
        cells = torch.arange(span, dtype=torch.int32, device=low.device)
        slots = (low_ids - low_ids[..., :1]).long()
        weights = low_weights.new_zeros(*low_ids.shape[:2], span)
        weights.scatter_add_(2, slots, low_weights).scatter_add_(2, slots + 1, high_weights)
        ids = low_ids[..., :1] + cells
    else:
        weights = torch.cat([low_weights, high_weights], 2)
        ids = torch.cat([low_ids, low_ids + 1], 2)
    return ids.clamp_(max=size - 1), weights  # a clamped entry has weight 0


class _PoolRows(torch.autograd.Function):
    """rows ``[N*H*W, C]`` and what ``_entries`` returns -> ``[R*oh*ow, C]`` in RoI order."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, ids: Tensor, weights: Tensor, lengths: Tensor, order: Tensor
    ) -> Tensor:
        ctx.save_for_backward(ids, weights, lengths, order)
        ctx.num_rows = len(rows)
        bag_starts = (lengths.cumsum(0) - lengths).to(ids.dtype)
        pooled = gather_rows(rows, ids, weights, bag_starts)
        bins = pooled.new_empty(pooled.shape).view(len(order), -1)
        return bins.index_copy_(0, order, pooled.view(bins.shape)).view(pooled.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_bins: Tensor) -> tuple[Tensor | None, ...]:
        ids, weights, lengths, order = ctx.saved_tensors
        grad_pooled = grad_bins.reshape(len(order), -1).index_select(0, order)
        bag_ids = torch.repeat_interleave(lengths)
        grad_rows = spread_rows(
            grad_pooled.view(grad_bins.shape), ids, weights, bag_ids, ctx.num_rows
        )
        return grad_rows, None, None, None, None
