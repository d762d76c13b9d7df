"""Panoptic map of one image at full resolution, without a channel per instance.

Source: UPSNet (Xiong et al., CVPR 2019), section 3.1 "Panoptic segmentation head", in the
semantics of the released inference. With X the semantic logits upsampled to H x W, the decision
is the argmax over the channels

* 0 .. S-1: the stuff channels of X;
* S .. S+k-1: one per kept instance i, in the order of :mod:`mmext.upsnet.mask_pruning`:
  ``S_i + M_i``, where S_i is the channel of its class in X inside its segmentation window and M_i
  its resized mask logits inside its mask window; both are **0 outside**, so an instance can win
  pixels outside its box where everything else is negative;
* S+k: unknown, ``max over things of X - max_i S_i``.

The lowest channel wins ties: of instances the one of the higher score and, of equal scores, the
later detection. Only the running maximum is held: best value and channel, largest thing logit and
largest S_i, so memory does not depend on k. The channel of an instance is touched inside its
window alone. Outside its window it is the constant 0, of which only the first matters:
all pixels outside window 0 have first zero channel 0; those inside windows 0..i-1 but outside
window i have first zero channel i. These sets are differences of nested rectangles.

Degenerate input, by decision:

* no detection: stuff channels against unknown with ``max_i S_i = 0``, so stuff argmax with thing
  pixels unknown (the released code lets a dummy box of class 0 compete);
* detections, but none survives pruning: as released, detection 0 competes with M = 0;
* empty, inverted or outside boxes have no mask pixel and so are pruned;
* ``outside='excluded'``: instance channels do not compete outside their window (-inf). S_i is
  still 0 there for the unknown channel, which would otherwise be infinite.

Shapes: C = T + S classes (things first), n detections, h x w the map of logits.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.upsnet.box_windows import Rounding, Window, host_windows
from mmext.upsnet.mask_pruning import paste_logits, prune_masks
from mmext.upsnet.upsampling import channel_maxima, upsample_window

Outside = Literal['zero', 'excluded']


class PanopticComposition(NamedTuple):
    """Decision of the panoptic head for one image."""

    channels: Tensor
    """int32 ``[H, W]``: 0..S-1 stuff, S..S+k-1 kept instances, S+k unknown (if it competes)."""
    semantic_labels: Tensor
    """int32 ``[H, W]``, argmax of the upsampled semantic logits in label order."""
    kept_index: Tensor
    """int64 ``[k]``, index into the detections of each instance channel."""


@torch.no_grad()
def compose_panoptic(
    semantic_logits: Tensor,
    mask_logits: Tensor,
    boxes_xyxy: Tensor,
    labels: Tensor,
    scores: Tensor,
    num_things: int,
    *,
    factor: int = 4,
    max_overlap_ratio: float = 0.3,
    rounding: Rounding = 'official',
    outside: Outside = 'zero',
    with_unknown: bool = True,
) -> PanopticComposition:
    """Mask pruning, panoptic logits and their argmax for one image.

    Args:
        semantic_logits: ``[C, h, w]``, float, label order.
        mask_logits: ``[n, m, m]``, float, of each detection's own class.
        boxes_xyxy: ``[n, 4]`` in pixels of the network input.
        labels: ``[n]``, integers 0..T-1.
        scores: ``[n]``.
        num_things: T.
        factor: size of the network input over size of the logits, a power of two.
        max_overlap_ratio: see :func:`~mmext.upsnet.mask_pruning.prune_masks`.
        rounding: see :mod:`mmext.upsnet.box_windows`.
        outside: what an instance channel is outside its window.
        with_unknown: whether the unknown channel competes; without it thing pixels that no
            instance claims go to the best stuff class.

    Returns:
        The decision at ``[factor*h, factor*w]``.

    Raises:
        InputError: on shapes that do not fit, a label that is no thing, or a semantic logit or a
            box that is not finite.
    """
    _check(semantic_logits, mask_logits, boxes_xyxy, labels, scores)
    if outside not in ('zero', 'excluded'):
        raise InputError(f"outside: expected 'zero' or 'excluded', got {outside!r}")
    height, width = (size * factor for size in semantic_logits.shape[1:])
    kept_index = prune_masks(
        mask_logits, boxes_xyxy, labels, scores, (height, width), max_overlap_ratio
    )
    if len(kept_index) == 0 and len(labels) > 0:
        kept_index = labels.new_zeros(1, dtype=torch.long)
        mask_logits = torch.zeros_like(mask_logits)
    instances = _instances(
        mask_logits[kept_index], boxes_xyxy[kept_index], labels[kept_index], num_things, rounding
    )

    logits = semantic_logits.float()
    if not logits.sum().isfinite():  # the maxima would come with channels that do not exist
        raise InputError('semantic_logits: expected finite values; has the training diverged?')
    maxima = channel_maxima(logits, num_things, factor)
    argmax = _RunningArgmax(maxima.stuff_logits, maxima.stuff_indices)
    num_stuff = len(logits) - num_things
    largest_term = _add_instances(argmax, instances, logits, num_stuff, factor, outside)
    if with_unknown:
        unknown_logits = maxima.thing_logits.sub_(largest_term)
        argmax.offer(Window(0, height, 0, width), unknown_logits, num_stuff + len(instances))
    return PanopticComposition(argmax.channels, maxima.semantic_labels, kept_index)


class _Instance(NamedTuple):
    """A kept detection; windows as in :mod:`mmext.upsnet.box_windows`, not clipped."""

    label: int
    mask_logits: Tensor
    window: Window
    mask_window: Window


class _RunningArgmax:
    """Largest value and its channel per pixel, for channels offered in ascending order."""

    def __init__(self, values: Tensor, channels: Tensor) -> None:
        self.values = values  # float32 [H, W]
        self.channels = channels  # int32 [H, W]

    def offer(self, window: Window, values: Tensor | float, channel: int) -> None:
        """Let ``channel`` compete with ``values``, as large as the window, or with a constant."""
        best, channels = window.view(self.values), window.view(self.channels)
        channels.masked_fill_(torch.lt(best, values), channel)
        best.clamp_(min=values)


def _instances(
    mask_logits: Tensor, boxes_xyxy: Tensor, labels: Tensor, num_things: int, rounding: Rounding
) -> list[_Instance]:
    host_labels = labels.tolist()
    if not all(0 <= label < num_things for label in host_labels):
        raise InputError(f'labels: expected things 0..{num_things - 1}, got {host_labels}')
    windows = host_windows(boxes_xyxy, rounding)
    return [
        _Instance(*instance)
        for instance in zip(host_labels, mask_logits.float(), *windows, strict=True)
    ]


def _add_instances(
    argmax: _RunningArgmax,
    instances: list[_Instance],
    logits: Tensor,
    num_stuff: int,
    factor: int,
    outside: Outside,
) -> Tensor:
    """Offer every instance to ``argmax``; returns max_i S_i ``[H, W]``, 0 without instances."""
    height, width = argmax.values.shape
    image = common = Window(0, height, 0, width)
    largest_term = torch.zeros_like(argmax.values)
    for instance in instances:
        common = common.intersect(instance.window)
    if instances and not common.is_empty:
        common.view(largest_term).fill_(-torch.inf)  # no instance is 0 here

    inside_all_before = image
    for channel, instance in enumerate(instances, start=num_stuff):
        if outside == 'zero':
            for part in inside_all_before.minus(instance.window):
                argmax.offer(part, 0.0, channel)
            inside_all_before = inside_all_before.intersect(instance.window)
        clip = instance.window.intersect(image)
        if clip.is_empty:
            continue
        values = upsample_window(logits[instance.label], clip, factor)
        clip.view(largest_term).clamp_(min=values)
        mask_clip = clip.intersect(instance.mask_window)
        if not mask_clip.is_empty:
            mask_clip.relative_to(clip).view(values).add_(
                paste_logits(instance.mask_logits, instance.mask_window, mask_clip)
            )
        argmax.offer(clip, values, channel)
    return largest_term


def _check(
    semantic_logits: Tensor, mask_logits: Tensor, boxes_xyxy: Tensor, labels: Tensor, scores: Tensor
) -> None:
    if semantic_logits.dim() != 3:
        raise InputError(
            f'semantic_logits: expected [C, h, w], got shape {tuple(semantic_logits.shape)}'
        )
    count = len(labels)
    shapes = [tuple(part.shape) for part in (mask_logits, boxes_xyxy, labels, scores)]
    if shapes != [(count, *shapes[0][1:]), (count, 4), (count,), (count,)] or len(shapes[0]) != 3:
        raise InputError(
            'mask_logits, boxes_xyxy, labels, scores: expected shapes [n, m, m], [n, 4], [n], [n], '
            f'got {shapes}'
        )
