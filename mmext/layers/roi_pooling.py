"""RoIAlign of all levels of a pyramid in a graph that is the same for all boxes.

Shape legend: N images, C channels, R RoIs (image, x1, y1, x2, y2) ``[R, 5]``, ``oh x ow`` bins.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from mmcv import ops
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.layers.graph_operators import pool_rois
from mmext.layers.network_parts import Runner

# a box that no map contains: RoIAlign is 0 there, in every runtime
_NOWHERE_PX = (-1e4, -1e4, 1 - 1e4, 1 - 1e4)
_EXAMPLE_BOXES = 6


class PyramidPooling(nn.Module):
    """A RoI extractor whose graph is the same for all boxes: every level pools every box.

    A box that belongs to another level lies outside of all maps there, so that it is 0.

    Args:
        extractor: mmdet's ``SingleRoIExtractor`` with RoIAlign.

    Raises:
        InputError: another extractor.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        layers = list(extractor.roi_layers)
        known = isinstance(extractor, SingleRoIExtractor) and all(
            isinstance(layer, ops.RoIAlign) and layer.pool_mode == 'avg' for layer in layers
        )
        if not known:
            raise InputError(
                f'{type(extractor).__name__} of {type(layers[0]).__name__}: exported are '
                'SingleRoIExtractor with RoIAlign alone'
            )
        self.layers = layers  # a plain list: they have no weights
        self.num_inputs = extractor.num_inputs
        self.map_roi_levels = extractor.map_roi_levels

    def forward(self, levels: Sequence[Tensor], rois: Tensor) -> Tensor:
        """``[R, C, oh, ow]`` from maps ``[N, C, h_i, w_i]`` and RoIs ``[R, 5]``."""
        belongs = self.map_roi_levels(rois, len(levels))
        pooled = [
            _pool(layer, level, rois, belongs == number)
            for number, (layer, level) in enumerate(zip(self.layers, levels, strict=True))
        ]
        return reduce(torch.add, pooled)


def _pool(layer: Any, level: Tensor, rois: Tensor, is_here: Tensor) -> Tensor:
    """``[R, C, oh, ow]`` of one level; 0 for the RoIs that are not of it."""
    if getattr(layer, 'inclusive_ends', False):
        rois = rois - rois.new_tensor([0, 0, 0, 1, 1])
    if layer.aligned and layer.sampling_ratio == 0:
        # no area, no samples: runtimes would divide by their number
        is_here = is_here & (rois[:, 3:] > rois[:, 1:3]).all(1)
    boxes = torch.where(is_here[:, None], rois[:, 1:], rois.new_tensor(_NOWHERE_PX))
    return pool_rois(
        level,
        torch.cat([rois[:, :1], boxes], dim=1),
        *layer.output_size,
        float(layer.spatial_scale),
        int(layer.sampling_ratio),
        bool(layer.aligned),
    )


def roi_inputs(
    levels: Sequence[Tensor], num_inputs: int, size_hw: tuple[int, int]
) -> dict[str, Tensor]:
    """Levels ``[N, C, h_i, w_i]`` and some RoIs ``[R, 5]`` on their images, for an example."""
    corners = torch.rand(_EXAMPLE_BOXES, 2, 2) * torch.tensor([size_hw[1], size_hw[0]])
    boxes = torch.cat([corners.amin(1), corners.amax(1) + 1], dim=1)
    numbers = torch.arange(_EXAMPLE_BOXES)[:, None] % len(levels[0])
    named = {f'level_{i}': level for i, level in enumerate(levels[:num_inputs])}
    return named | dict(rois=torch.cat([numbers.float(), boxes], dim=1))


def run_on_rois(runner: Runner, levels: Sequence[Tensor], rois: Tensor) -> tuple[Tensor, ...]:
    """The outputs for each RoI ``[R, 5]``; without a RoI those of one are cut to none."""
    some = rois if len(rois) else rois.new_tensor([[0, 0, 0, 8, 8]])
    return tuple(output[: len(rois)] for output in runner(*levels, some))
