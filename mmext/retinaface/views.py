"""Test-time augmentation: an image in several sizes, as it is and flipped."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def views_of(image: Tensor, views: Mapping[str, Any]) -> Iterator[tuple[Tensor, bool]]:
    """The image in all sizes, each as it is and, if wanted, flipped; and whether it is flipped.

    Args:
        image: ``[1, 3, h, w]``.
        views: ``short_edges_px`` (``None`` in it keeps the size), ``max_long_edge_px``, ``flip``.

    Yields:
        ``[1, 3, h', w']`` and a flag.
    """
    height, width = image.shape[2:]
    for short_edge in views['short_edges_px']:
        factor = 1.0 if short_edge is None else short_edge / min(height, width)
        factor = min(factor, views.get('max_long_edge_px', torch.inf) / max(height, width))
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        # antialias: without it a shrunk image is full of stair steps
        view = F.interpolate(
            image, size=size, mode='bilinear', align_corners=False, antialias=factor < 1
        )
        yield view, False
        if views.get('flip', False):
            yield view.flip(3), True
