"""Integer windows that a box covers in the two instance terms of the panoptic logits.

Source: UPSNet (Xiong et al., CVPR 2019), section 3.1. The paper speaks of one box; the published
code uses two roundings, and both are kept as the default because pixels depend on them:

* the **segmentation** window starts at the truncated corner and ends (exclusive) at the
  half-even rounded corner plus one;
* the **mask** window ends at the truncated corner plus one; the mask logits are resized to
  exactly this window.

So the segmentation window always contains the mask window. ``rounding='shared'`` uses the mask
window for both, the literal reading of the paper.

Frame: boxes are ``x1, y1, x2, y2`` in pixels of the map that the windows index; windows may reach
over the border of the map until they are clipped.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mmext.errors import InputError

Rounding = Literal['official', 'shared']


class Window(NamedTuple):
    """Rows ``top:bottom`` and columns ``left:right``, ends exclusive; may be empty."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows, never negative."""
        return max(self.bottom - self.top, 0)

    @property
    def width(self) -> int:
        """Number of columns, never negative."""
        return max(self.right - self.left, 0)

    @property
    def is_empty(self) -> bool:
        """Whether the window holds no pixel."""
        return self.height == 0 or self.width == 0

    def intersect(self, other: Window) -> Window:
        """Common part of two windows (empty if they do not meet)."""
        return Window(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def relative_to(self, other: Window) -> Window:
        """The same window in the frame whose origin is the corner of ``other``."""
        return Window(
            self.top - other.top,
            self.bottom - other.top,
            self.left - other.left,
            self.right - other.left,
        )

    def view(self, image: Tensor) -> Tensor:
        """View of ``image`` ``[..., H, W]`` inside the window, which must lie within the image."""
        return image[..., self.top : self.bottom, self.left : self.right]

    def minus(self, other: Window) -> list[Window]:
        """At most four disjoint windows that cover this window without ``other``."""
        hole = self.intersect(other)
        if hole.is_empty:
            return [self]
        parts = (
            self._replace(bottom=hole.top),
            self._replace(top=hole.bottom),
            Window(hole.top, hole.bottom, self.left, hole.left),
            Window(hole.top, hole.bottom, hole.right, self.right),
        )
        return [part for part in parts if not part.is_empty]


def window_bounds(boxes_xyxy: Tensor, rounding: Rounding = 'official') -> tuple[Tensor, Tensor]:
    """Integer bounds of the two windows of every box, not clipped.

    Args:
        boxes_xyxy: ``[n, 4]`` in pixels of the indexed map.
        rounding: see the module text.

    Returns:
        Two int64 tensors ``[n, 4]`` with ``left, top, right, bottom`` (ends exclusive): the
        segmentation window and the mask window.

    Raises:
        InputError: on an unknown rounding.
    """
    if rounding not in ('official', 'shared'):
        raise InputError(f"rounding: expected 'official' or 'shared', got {rounding!r}")
    starts, ends = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    mask = torch.cat((starts.trunc(), ends.trunc() + 1), dim=1).long()
    if rounding == 'shared':
        return mask, mask
    # Truncation rounds a negative corner up; the maximum keeps the mask window inside.
    seg_ends = torch.maximum(ends.round(), ends.trunc()) + 1
    return torch.cat((starts.trunc(), seg_ends), dim=1).long(), mask


def host_windows(
    boxes_xyxy: Tensor, rounding: Rounding = 'official'
) -> tuple[list[Window], list[Window]]:
    """Segmentation and mask windows of every box as Python integers, by one device transfer.

    Args:
        boxes_xyxy: ``[n, 4]`` in pixels of the indexed map.
        rounding: see the module text.

    Returns:
        Segmentation windows and mask windows, not clipped.

    Raises:
        InputError: if a coordinate is not finite, or the rounding is unknown.
    """
    bounds = torch.cat((boxes_xyxy.double(), *window_bounds(boxes_xyxy, rounding)), dim=1).tolist()
    for index, row in enumerate(bounds):
        if not all(math.isfinite(value) for value in row[:4]):
            raise InputError(f'boxes_xyxy: expected finite corners, got {row[:4]} at index {index}')

    def windows(first: int) -> list[Window]:
        return [
            Window(int(row[first + 1]), int(row[first + 3]), int(row[first]), int(row[first + 2]))
            for row in bounds
        ]

    return windows(4), windows(8)
