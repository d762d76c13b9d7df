"""Mask pruning: which detections become instances of the panoptic map.

Source: UPSNet (Xiong et al., CVPR 2019), section 3.1 "Mask pruning process", as released:

* detections are visited by descending score, of equal scores **the later one first** (the paper
  says nothing; the released code sorts ascending and reads the order backwards, so that of two
  equal masks of a class the later one stays);
* a mask is its logits resized (bilinear, half-pixel centers) to the truncated box, ``> 0``,
  clipped to the image;
* it is dropped if it is empty or if more than 30 % of it is covered by kept masks **of its own
  class**; exactly 30 % is kept;
* a kept mask enters the canvas of its class whole.

Deviation from the paper: it copies "the non-intersecting part" to the canvas, which is the same
canvas.

Shapes: n detections, m x m mask logits (28 in the paper), H x W the network input.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.upsnet.box_windows import Window, host_windows


def paste_logits(mask_logits: Tensor, window: Window, clip: Window) -> Tensor:
    """One instance's mask logits at the resolution of the image.

    Args:
        mask_logits: ``[m, m]``, float.
        window: where the mask lies, may reach over the border.
        clip: part of ``window`` that is wanted, not empty.

    Returns:
        ``[clip.height, clip.width]``, bilinear with half-pixel centers.
    """
    size_hw = (window.height, window.width)
    resized = F.interpolate(
        mask_logits[None, None], size=size_hw, mode='bilinear', align_corners=False
    )[0, 0]
    return clip.relative_to(window).view(resized)


def prune_masks(
    mask_logits: Tensor,
    boxes_xyxy: Tensor,
    labels: Tensor,
    scores: Tensor,
    size_hw: tuple[int, int],
    max_overlap_ratio: float = 0.3,
) -> Tensor:
    """Detections that stay, in the order of their channels.

    The decisions depend on each other but stay on the device: one transfer brings the boxes to the
    host, one the verdicts.

    Args:
        mask_logits: ``[n, m, m]``, logits of each detection's own class.
        boxes_xyxy: ``[n, 4]`` in pixels of the network input.
        labels: ``[n]``, integers.
        scores: ``[n]``.
        size_hw: height and width of the network input.
        max_overlap_ratio: largest allowed share of a mask under kept masks of its class.

    Returns:
        int64 ``[k]``, indices into the detections by descending score; of equal scores the later
        one comes first. Empty if none stays.

    Raises:
        ValueError: if a box is not finite.
    """
    order = scores.argsort(stable=True).flip(0)
    _, windows = host_windows(boxes_xyxy[order])
    masks = list(zip(mask_logits[order].float(), windows, strict=True))
    by_label: dict[int, list[int]] = {}
    for rank, label in enumerate(labels[order].tolist()):
        by_label.setdefault(label, []).append(rank)

    image = Window(0, size_hw[0], 0, size_hw[1])
    verdicts: dict[int, Tensor] = {}
    for ranks in by_label.values():
        of_class = _prune_class([masks[rank] for rank in ranks], image, max_overlap_ratio)
        verdicts.update(zip(ranks, of_class, strict=True))
    if not verdicts:
        return order
    return order[torch.stack([verdicts[rank] for rank in range(len(order))])]


def _prune_class(
    masks: list[tuple[Tensor, Window]], image: Window, max_overlap_ratio: float
) -> list[Tensor]:
    """Whether each mask of one class stays, bool ``[]``; masks come best first.

    A mask is its logits ``[m, m]`` and its window.
    """
    # uint8 instead of bool: `&` with a 0-d verdict is vectorised for it
    canvas = masks[0][0].new_zeros((image.height, image.width), dtype=torch.uint8)
    verdicts: list[Tensor] = []
    for logits, window in masks:
        clip = window.intersect(image)
        if clip.is_empty:
            verdicts.append(canvas.new_zeros((), dtype=torch.bool))
            continue
        mask = (paste_logits(logits, window, clip) > 0).view(torch.uint8)
        covered = clip.view(canvas)
        area, overlap = mask.count_nonzero(), (mask & covered).count_nonzero()
        # in double a ratio of 3 / 10 compares equal to 0.3; that of an empty mask is nan: not kept
        kept = overlap.double() / area <= max_overlap_ratio
        covered |= mask & kept.view(torch.uint8)
        verdicts.append(kept)
    return verdicts
