"""Masks of boxes outside the image, on a CPU.

Host: ``mmdet.models.roi_heads.mask_heads.fcn_mask_head._do_paste_mask``.
Fault: with ``skip_empty``, which is the CPU's way, the window that bounds the boxes gets a
negative size when they lie outside the image, and ``torch.arange`` raises "upper bound and lower
bound inconsistent with step sign". QueryInst, whose boxes are not clipped, stops there.
Seen with mmdet 3.3.0 to 3.5.1.
Repair: such boxes have an empty window, so their masks stay empty, as on a GPU.
"""

from collections.abc import Callable
from typing import Any

import torch
from mmdet.models.roi_heads.mask_heads import fcn_mask_head
from torch import Tensor

from mmext.host_repairs.rebinding import rebind

_FUNCTION = '_do_paste_mask'  # looked up by name: it is gone in a host that has mended it


def repair() -> None:
    """Mend it, if it is broken."""
    paste = getattr(fcn_mask_head, _FUNCTION, None)
    if paste is not None and is_faulty(paste):
        rebind(paste, _guarded(paste))


def is_faulty(paste: Callable[..., Any]) -> bool:
    """Whether the function cannot paste a mask left of the image."""
    try:
        paste(torch.ones(1, 1, 2, 2), torch.tensor([[-9.0, 0.0, -5.0, 2.0]]), 4, 4, True)
    except RuntimeError:
        return True
    return False


def _guarded(paste: Callable[..., Any]) -> Callable[..., Any]:
    def paste_inside(
        masks: Tensor, boxes: Tensor, img_h: int, img_w: int, skip_empty: bool = True
    ) -> tuple[Tensor, tuple[slice, ...]]:
        if skip_empty and len(boxes) and _outside(boxes, img_h, img_w):
            return masks.new_zeros(len(masks), 0, 0, dtype=torch.float32), (slice(0), slice(0))
        return paste(masks, boxes, img_h, img_w, skip_empty)

    return paste_inside


def _outside(boxes: Tensor, height: int, width: int) -> bool:
    """Whether the window of the boxes, ``[N, 4]`` (x1, y1, x2, y2) in pixels, has no pixel."""
    left, top = (boxes[:, :2].min(dim=0).values.floor() - 1).clamp(min=0).tolist()
    right, bottom = (boxes[:, 2:].max(dim=0).values.ceil() + 1).tolist()
    return bool(left >= min(right, int(width)) or top >= min(bottom, int(height)))
