"""Losses of DensePose: parts and coordinates at annotated points, masks on the whole region.

Güler et al., "DensePose", CVPR 2018, with the numbers of detectron2; confidences: Neverova et al.,
"Correlated Uncertainty for Learning Dense Correspondences from Noisy Labels", NeurIPS 2019.

Shapes: P points, R regions, M masks, S cells of a side.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

CANVAS_SIDE = 256
NO_MASK = 255
"""Value of canvases of objects without masks."""

MIN_VARIANCE = 0.01


def part_loss(logits: Tensor, parts: Tensor) -> Tensor:
    """Cross entropy of the parts at points, their mean; without points 0 that has a gradient.

    Args:
        logits: ``[P, 25]``.
        parts: ``[P]`` int64, 0 is the background.
    """
    return F.cross_entropy(logits, parts) if len(parts) else logits.sum()


def coordinate_loss(predicted: Tensor, target: Tensor, average: bool = False) -> Tensor:
    """Smooth L1 of U or V ``[P]``, summed as released, or the mean."""
    total = F.smooth_l1_loss(predicted, target, reduction='sum')
    return total / max(len(target), 1) if average else total


def variance(raw: Tensor) -> Tensor:
    """What the network says of its uncertainty -> the variance, at least 0.01."""
    return F.softplus(raw) + MIN_VARIANCE


def isotropic_loss(errors: Tensor, raw_variance: Tensor, average: bool = False) -> Tensor:
    """Negative log likelihood of (U, V) with one variance for both (WC1).

    Args:
        errors: predicted less true ``[P, 2]``.
        raw_variance: ``[P]``, see :func:`variance`.
        average: the mean instead of the sum.
    """
    sigma2 = variance(raw_variance)
    terms = math.log(2 * math.pi) + 2 * sigma2.log() + errors.square().sum(1) / sigma2
    return _reduced(terms / 2, average)


def anisotropic_loss(
    errors: Tensor, raw_variance: Tensor, direction: Tensor, average: bool = False
) -> Tensor:
    """The same with a larger variance along a direction (WC2).

    Args:
        errors: predicted less true ``[P, 2]``.
        raw_variance: ``[P]``, see :func:`variance`.
        direction: ``[P, 2]``; the covariance is variance times identity plus its outer product.
        average: the mean instead of the sum.
    """
    sigma2 = variance(raw_variance)
    along = sigma2 + direction.square().sum(1)
    determinant = sigma2 * along
    explained = (errors * direction).sum(1).square() / determinant
    terms = math.log(2 * math.pi) + determinant.log() + errors.square().sum(1) / sigma2 - explained
    return _reduced(terms / 2, average)


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of coarse parts, mean over the cells of regions that have masks.

    Args:
        logits: ``[R, C, S, S]``; C = 2 is body or not.
        targets: ``[R, S, S]``, 0 to 14, or ``NO_MASK``.
    """
    known = targets != NO_MASK
    if not bool(known.any()):
        return logits.sum() * 0
    if logits.shape[1] == 2:
        targets = torch.where(known, (targets > 0).to(targets.dtype), targets)
    return F.cross_entropy(logits.float(), targets.long(), ignore_index=NO_MASK)


def mask_targets(
    canvases: Tensor,
    frames_px: Tensor,
    regions_xyxy: Tensor,
    canvas_index: Tensor,
    side: int,
    aligned: bool = False,
) -> Tensor:
    """The canvas of each object as its region sees it, nearest cell, 0 outside.

    Args:
        canvases: ``[M, 256, 256]`` uint8 over the boxes of the objects.
        frames_px: ``[M, 3, 2]``, where the canvas has its first corner and the ends of its upper
            and of its left side: a mirrored or turned image moves these, not the canvas.
        regions_xyxy: ``[R, 4]``.
        canvas_index: ``[R]`` int64, the object of each region.
        side: S.
        aligned: cells are sampled at their centers; as released, at their left edges.

    Returns:
        ``[R, S, S]`` uint8.
    """
    steps = torch.arange(side, device=regions_xyxy.device, dtype=torch.float32)
    steps = (steps + 0.5 if aligned else steps) / side
    size = regions_xyxy[:, 2:] - regions_xyxy[:, :2]
    x, y = (regions_xyxy[:, axis, None] + steps * size[:, axis, None] for axis in (0, 1))
    frames = frames_px[canvas_index].float()
    origin = frames[:, 0]
    across, down = (frames[:, 1] - origin).T, (frames[:, 2] - origin).T  # [2, R] each
    determinant = across[0] * down[1] - across[1] * down[0]
    dx, dy = (x - origin[:, :1])[:, None, :], (y - origin[:, 1:])[:, :, None]
    column = (dx * _cell(down[1]) - dy * _cell(down[0])) / _cell(determinant)  # [R, S, S]
    row = (dy * _cell(across[0]) - dx * _cell(across[1])) / _cell(determinant)
    last = CANVAS_SIDE - 1
    inside = (column >= 0) & (column <= 1) & (row >= 0) & (row <= 1)
    cells = [(place * last).round().clamp(0, last).long() for place in (row, column)]
    targets = canvases[_cell(canvas_index), cells[0], cells[1]].where(inside, 0)
    unknown = canvases[:, 0, 0] == NO_MASK
    return targets.masked_fill(_cell(unknown[canvas_index]), NO_MASK)


def _cell(values: Tensor) -> Tensor:
    return values[:, None, None]


def _reduced(terms: Tensor, average: bool) -> Tensor:
    total = terms.sum()
    return total / max(len(terms), 1) if average else total
