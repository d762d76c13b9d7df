"""What the parts between key frames learn from: known motion, and the features of the whole way.

Liu et al., "YolactEdge", ICRA 2021, section 3.3, and the released code. Shapes: B frames, M
channels, levels of h_i x w_i cells, H x W pixels of the network input.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmext.yolact_edge.feature_warping import from_pixels

_ALL_SEEN = 0.999  # share of a cell's pixels whose motion is known


def endpoint_error_loss(
    flows: Sequence[Tensor], targets: Sequence[Tensor], valid: Sequence[Tensor] | None = None
) -> Tensor:
    """Sum over the levels of the mean distance between what is said and what is.

    Args:
        flows: ``[B, 2, h_i, w_i]``, (x, y) in any unit.
        targets: of the same shapes and units.
        valid: ``[B, h_i, w_i]`` bool, the cells that count; None: all. A level without one is 0.

    Returns:
        Scalar ``[]``.

    >>> endpoint_error_loss([torch.zeros(1, 2, 1, 1)], [torch.tensor([3.0, 4]).view(1, 2, 1, 1)])
    tensor(5.)
    """
    total = flows[0].new_zeros((), dtype=torch.float32)
    for level, (flow, target) in enumerate(zip(flows, targets, strict=True)):
        # at a difference of exactly 0 the slope of a norm is taken as 0
        distance = torch.linalg.vector_norm(flow.float() - target, dim=1)  # [B, h, w]
        seen = torch.ones_like(distance) if valid is None else valid[level].float()
        total = total + (distance * seen).sum() / seen.sum().clamp(min=1)
    return total


def flow_targets(
    flow_px: Tensor, valid: Tensor, map_sizes: Sequence[tuple[int, int]]
) -> tuple[list[Tensor], list[Tensor]]:
    """What the flow network should say on each level.

    Args:
        flow_px: ``[B, 2, H, W]`` (x, y) in pixels.
        valid: ``[B, H, W]`` bool.
        map_sizes: (h_i, w_i).

    Returns:
        ``[B, 2, h_i, w_i]`` in the units of :mod:`.feature_warping`, and the cells all of whose
        pixels are valid, ``[B, h_i, w_i]`` bool.
    """
    known = torch.where(valid[:, None], flow_px, 0.0)
    targets = [from_pixels(known, size) for size in map_sizes]
    shares = [F.interpolate(valid[:, None].float(), size, mode='area')[:, 0] for size in map_sizes]
    return targets, [share > _ALL_SEEN for share in shares]


def cosine_loss(maps: Tensor, wanted: Tensor) -> Tensor:
    """Mean over the cells of 1 - cosine of the angle between features ``[B, M, h, w]``: ``[]``."""
    return (1 - F.cosine_similarity(maps.float(), wanted.float(), dim=1)).mean()


def matching_loss(
    merged: Sequence[Tensor],
    wanted: Sequence[Tensor],
    smooth: Sequence[Callable[[Tensor], Tensor]],
) -> Tensor:
    """How far propagated levels are from those of the whole way, before and after the smoothing.

    Args:
        merged: the propagated levels ``[B, M, h_i, w_i]``.
        wanted: the same levels of the whole way, without gradient.
        smooth: what smooths each level; its own weights are not to learn from this. (Released: for
            the coarsest level that of the finest, by a slip.)

    Returns:
        Scalar ``[]``: the mean of all terms.
    """
    terms = []
    for level, target, smoothing in zip(merged, wanted, smooth, strict=True):
        terms.append(cosine_loss(level, target))
        with torch.no_grad():
            smoothed = smoothing(target)
        terms.append(cosine_loss(smoothing(level), smoothed))
    return torch.stack(terms).mean()


def frozen_smoothing(convolution: torch.nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """A 3x3 convolution and its ReLU, whose weights get no gradient."""
    weight = convolution.weight.detach()
    bias = None if convolution.bias is None else convolution.bias.detach()
    return lambda x: F.relu(F.conv2d(x, weight, bias, padding=1))
