"""Maps of the key frame, moved to where things are now, and corrected by the flow network.

Liu et al., "YolactEdge", ICRA 2021, section 3.2; the units are those of the released network, whose
weights rest on them: a flow is eight times the shift in coordinates that go from -1 to 1 between
the centers of the outermost cells. It is not in cells, and is resized without being scaled.

Shapes: B frames, C channels, h x w cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmext.functional.flow_warping import warp

UNITS_PER_HALF_MAP = 8.0


class Motion(NamedTuple):
    """What the flow network says of a level.

    Attributes:
        flow: ``[B, 2, h, w]`` (x, y): the content of a cell was there in the key frame. In the
            units of the module text.
        scale: ``[B, C, h, w]``, the warped map is multiplied by it.
        bias: ``[B, C, h, w]``, and this is added.
    """

    flow: Tensor
    scale: Tensor
    bias: Tensor


def propagate(key_map: Tensor, motion: Motion) -> Tensor:
    """The map of a key frame ``[B, C, h, w]`` in the current frame, of the same shape."""
    return warp(key_map, in_cells(motion.flow)) * motion.scale + motion.bias


def in_cells(flow: Tensor) -> Tensor:
    """A flow ``[B, 2, h, w]`` of the network in cells of its own map.

    >>> in_cells(torch.full((1, 2, 3, 5), 4.0))[0, :, 0, 0]
    tensor([1.0000, 0.5000])
    """
    return flow * (_cells_per_unit(flow.shape[2:], flow))[:, None, None]


def from_pixels(flow_px: Tensor, map_size: tuple[int, int]) -> Tensor:
    """What the network should say: the inverse of :func:`in_cells`, for a flow between images.

    Args:
        flow_px: ``[B, 2, H, W]`` (x, y) in pixels of the network input.
        map_size: (h, w) of a level that covers the same picture.

    Returns:
        ``[B, 2, h, w]``: the mean of the pixels of each cell. (Released: in units of one h-th of
        the map, so that the warp falls short of a shift by a part in h.)
    """
    height, width = flow_px.shape[2:]
    reduced = F.interpolate(flow_px, map_size, mode='area')
    cells = reduced * reduced.new_tensor([map_size[1] / width, map_size[0] / height])[:, None, None]
    per_unit = _cells_per_unit(map_size, cells)
    return cells / per_unit.clamp(min=1e-6)[:, None, None]  # a single cell goes nowhere


def _cells_per_unit(map_size: Sequence[int], like: Tensor) -> Tensor:
    """In x and y, ``[2]``."""
    half = [(map_size[1] - 1) / 2, (map_size[0] - 1) / 2]
    return torch.tensor(half, dtype=like.dtype, device=like.device) / UNITS_PER_HALF_MAP
