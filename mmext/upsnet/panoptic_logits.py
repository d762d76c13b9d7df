"""Panoptic logits for training: dense, differentiable, at the resolution of the semantic logits.

Source: UPSNet (Xiong et al., CVPR 2019), section 3.1 and figure 3. With X the semantic logits, the
channels are ``[X_stuff, S_1 + M_1, ..., S_n + M_n, V]``:

* S_i: the channel of instance i's class in X inside its segmentation window, 0 outside;
* M_i: its mask logits resized (bilinear, half-pixel centers) to its mask window, 0 outside;
* V: the unknown channel, ``max over things of X - max_i S_i`` (the segmentation term alone). The
  max is at least 0 wherever one instance does not cover the pixel.

Without an instance ``max_i S_i`` is 0, as in inference (the released code never trains on such an
image; its constant would be -10).

The resize is written as two small matrices per instance, ``R_y M R_x^T`` with hat weights, so that
all instances are one batched product: no loop, no transfer to the host. It equals
``interpolate`` to rounding.

Shapes: C = T + S classes (things first), n instances, h x w map of logits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmext.upsnet.box_windows import Rounding, window_bounds


def panoptic_logits(
    semantic_logits: Tensor,
    mask_logits: Tensor,
    boxes_xyxy: Tensor,
    labels: Tensor,
    num_things: int,
    *,
    stride: int = 4,
    rounding: Rounding = 'official',
    with_unknown: bool = True,
) -> Tensor:
    """Panoptic logits of one image, differentiable in both kinds of logits.

    Args:
        semantic_logits: ``[C, h, w]``, float, label order.
        mask_logits: ``[n, m, m]``, float, of each instance's own class.
        boxes_xyxy: ``[n, 4]`` in pixels of the network input.
        labels: ``[n]``, integers 0..T-1.
        num_things: T.
        stride: pixels of the network input per cell of the logits.
        rounding: see :mod:`mmext.upsnet.box_windows`.
        with_unknown: whether there is an unknown channel.

    Returns:
        ``[S + n + 1, h, w]``: stuff, instances in the given order, unknown if wanted. At least
        float32, also under autocast: half precision would round sums of logits visibly.
    """
    dtype = torch.promote_types(semantic_logits.dtype, torch.float32)
    with torch.autocast(semantic_logits.device.type, enabled=False):
        semantic_logits, mask_logits = semantic_logits.to(dtype), mask_logits.to(dtype)
        seg_bounds, mask_bounds = window_bounds(boxes_xyxy / stride, rounding)
        things, stuff = semantic_logits[:num_things], semantic_logits[num_things:]
        seg_terms = _seg_terms(things, labels, seg_bounds)  # [n, h, w]
        mask_terms = _mask_terms(mask_logits, mask_bounds, semantic_logits.shape[1:])
        channels = [stuff, seg_terms + mask_terms]
        if with_unknown:
            channels.append(_unknown(things, seg_terms))
        return torch.cat(channels)


def _unknown(things: Tensor, seg_terms: Tensor) -> Tensor:
    """V ``[1, h, w]`` from the thing logits ``[T, h, w]`` and S ``[n, h, w]``."""
    unknown = things.amax(dim=0, keepdim=True)
    return unknown - seg_terms.amax(dim=0) if len(seg_terms) else unknown


def _seg_terms(things: Tensor, labels: Tensor, bounds: Tensor) -> Tensor:
    """S ``[n, h, w]`` from the thing logits ``[T, h, w]`` and the windows ``[n, 4]``."""
    _, height, width = things.shape
    rows = _inside(bounds[:, 1], bounds[:, 3], height)
    columns = _inside(bounds[:, 0], bounds[:, 2], width)
    window = rows[:, :, None] & columns[:, None, :]  # [n, h, w]
    return things[labels].where(window, things.new_zeros(()))


def _mask_terms(mask_logits: Tensor, bounds: Tensor, size_hw: torch.Size) -> Tensor:
    """M ``[n, h, w]`` from the mask logits ``[n, m, m]`` and the windows ``[n, 4]``."""
    height, width = size_hw
    rows = _resize_weights(bounds[:, 1], bounds[:, 3], height, mask_logits)
    columns = _resize_weights(bounds[:, 0], bounds[:, 2], width, mask_logits)
    return rows @ mask_logits @ columns.transpose(1, 2)


def _inside(starts: Tensor, ends: Tensor, size: int) -> Tensor:
    """Whether the positions 0..size-1 lie in ``start:end``, ``[n, size]``."""
    positions = torch.arange(size, device=starts.device)
    return (positions >= starts[:, None]) & (positions < ends[:, None])


def _resize_weights(starts: Tensor, ends: Tensor, size: int, samples: Tensor) -> Tensor:
    """Bilinear weights of the m ``samples`` of an axis stretched over ``start:end``.

    Returns ``[n, size, m]`` in the dtype of ``samples``; 0 at positions outside ``start:end``.
    """
    count = samples.shape[-1]
    positions = torch.arange(size, device=starts.device)
    length = (ends - starts).clamp(min=1)[:, None].to(samples.dtype)
    centers = (positions - starts[:, None] + 0.5) * (count / length) - 0.5  # [n, size]
    distances = centers.clamp(0, count - 1)[..., None] - torch.arange(count, device=starts.device)
    hats = (1 - distances.abs()).clamp(min=0)  # [n, size, m]
    return hats * _inside(starts, ends, size)[..., None]
