"""Training target and loss of the panoptic head.

Source: UPSNet (Xiong et al., CVPR 2019), section 3.2 "Panoptic segmentation head", as released.
A part of the ground-truth instances is hidden so that the unknown channel is trained; instances
are matched to channels by their index, there is no assignment problem.

Deviations: the share of hidden instances is that of the code (``max(int(0.7 n), 1)`` are kept),
which is 0 % for one instance and 50 % for two; pixels to ignore are -1 here, because a panoptic
channel may well be number 255.

Shapes: n kept instances, H x W the network input, h x w the panoptic logits.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.renamed_keys import accept_old_keys

Normalization = Literal['valid', 'all_pixels']

IGNORE_CHANNEL = -1


def sample_kept_instances(
    num_instances: int,
    keep_fraction: float = 0.7,
    generator: torch.Generator | None = None,
    device: torch.device | str = 'cpu',
) -> Tensor:
    """Random instances to keep, drawn without replacement, in random order.

    Args:
        num_instances: n, may be 0.
        keep_fraction: share to keep in (0, 1]; at least one instance is kept if there is any.
        generator: source of randomness on ``device``.
        device: of the result.

    Returns:
        int64 ``[max(int(n * keep_fraction), 1)]``, empty for n = 0.

    Raises:
        InputError: if ``keep_fraction`` is not in (0, 1].
    """
    if not 0 < keep_fraction <= 1:
        raise InputError(f'keep_fraction: expected a value in (0, 1], got {keep_fraction}')
    count = min(max(int(num_instances * keep_fraction), 1), num_instances)
    return torch.randperm(num_instances, generator=generator, device=device)[:count]


def subsample(image: Tensor, stride: int = 4) -> Tensor:
    """Nearest-neighbor reduction of labels or masks ``[..., H, W]`` by ``stride``, as a view."""
    return image[..., ::stride, ::stride]


def panoptic_targets(
    semantic_labels: Tensor,
    masks: Tensor,
    num_things: int,
    num_stuff: int,
    *,
    ignore_label: int = 255,
    with_unknown: bool = True,
) -> Tensor:
    """Panoptic channel that is right at each pixel.

    Args:
        semantic_labels: ``[h, w]``, integers: things 0..T-1, stuff T..T+S-1, ``ignore_label``.
        masks: bool ``[n, h, w]``, the kept instances in the order of their channels. Masks should
            not overlap; where they do, the last one counts.
        num_things: T.
        num_stuff: S.
        ignore_label: label of pixels that do not count.
        with_unknown: whether thing pixels without a kept instance (hidden, crowd, smaller than a
            cell) are the unknown channel; otherwise they are ignored, for a head that was given
            all instances and whose unknown channel is cut off.

    Returns:
        int64 ``[h, w]``: stuff 0..S-1, instances S..S+n-1, unknown S+n, ``IGNORE_CHANNEL``. A label
        that is neither class nor ``ignore_label`` is ignored as well, unless an instance covers it.

    Raises:
        InputError: if the shapes do not fit.
    """
    if masks.shape[1:] != semantic_labels.shape:
        raise InputError(
            f'masks: expected [n, {", ".join(map(str, semantic_labels.shape))}] like '
            f'semantic_labels, got shape {tuple(masks.shape)}'
        )
    labels = semantic_labels.long()
    ignored = (labels < 0) | (labels >= num_things + num_stuff) | (labels == ignore_label)
    leftover = num_stuff + len(masks) if with_unknown else IGNORE_CHANNEL
    target = (labels - num_things).masked_fill(labels < num_things, leftover)
    target = target.masked_fill(ignored, IGNORE_CHANNEL)
    if len(masks) == 0:
        return target
    numbers = torch.arange(1, len(masks) + 1, device=masks.device, dtype=torch.int32)
    last = (masks.bool() * numbers[:, None, None]).amax(dim=0)  # [h, w], 0 without a mask
    return torch.where(last > 0, last + (num_stuff - 1), target)


@accept_old_keys(normalisation='normalization')
def panoptic_cross_entropy(
    logits: Tensor, target: Tensor, normalization: Normalization = 'valid'
) -> Tensor:
    """Cross entropy of the panoptic logits of one image.

    Args:
        logits: ``[K, h, w]``, float.
        target: int64 ``[h, w]``, 0..K-1 or ``IGNORE_CHANNEL``.
        normalization: 'valid' is the mean over pixels that count (0 if there is none);
            'all_pixels' divides by all pixels, as the released code does.

    Returns:
        Scalar, at least float32.

    Raises:
        InputError: on an unknown normalization.
    """
    if normalization not in ('valid', 'all_pixels'):
        raise InputError(f"normalization: expected 'valid' or 'all_pixels', got {normalization!r}")
    dtype = torch.promote_types(logits.dtype, torch.float32)
    total = F.cross_entropy(
        logits.to(dtype)[None], target[None], ignore_index=IGNORE_CHANNEL, reduction='sum'
    )
    if normalization == 'all_pixels':
        return total / max(target.numel(), 1)
    return total / (target != IGNORE_CHANNEL).sum().clamp(min=1)
