"""Values of a map at points of regions, read from the map before it is enlarged.

The network's maps are doubled (bilinear) and then read (bilinear) at annotated points. Both steps
are linear, so that a value is a weighted sum of 4 x 4 cells of the small map: the large one need
not exist. Güler et al., "DensePose", CVPR 2018, in the form of detectron2's project of that name.

Shapes: R regions, P points of all of them, C channels, S cells of a side of the small map. Cell k
of the doubled map stands for the coordinate k, its left edge, as released: no half pixel; where
places are ``aligned``, for its center.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GridPlaces(NamedTuple):
    """Points on the doubled map, each ``[P, 2]`` for x and y but for ``inside``, ``[P]``.

    A value is that of cell ``low`` times 1 - ``weight`` plus that of ``high`` times ``weight``.
    """

    low: Tensor
    high: Tensor
    weight: Tensor
    inside: Tensor


class CellSamples(NamedTuple):
    """Of each point the region ``[P]``, cells and weights ``[P, 16]``, or ``[P, 4]``."""

    region_index: Tensor
    cell_index: Tensor
    weights: Tensor


def grid_places(
    points_px: Tensor, regions_xyxy: Tensor, side: int, aligned: bool = False
) -> GridPlaces:
    """Where points lie on a map of ``side`` cells over their regions.

    Args:
        points_px: ``[P, 2]``.
        regions_xyxy: ``[P, 4]``, the region of each point, px.
        side: of the doubled map.
        aligned: cells are at their centers.
    """
    origin, size = regions_xyxy[:, :2], regions_xyxy[:, 2:] - regions_xyxy[:, :2]
    relative = points_px - origin
    inside = ((relative >= 0) & (relative < size)).all(1)
    place = relative * side / size
    if aligned:
        place = (place - 0.5).clamp(min=0)
    low = place.floor().clamp(0, side - 1)
    high = (low + 1).clamp(max=side - 1)
    return GridPlaces(low.long(), high.long(), torch.minimum(high, place) - low, inside)


def compose_samples(places: GridPlaces, region_index: Tensor, small_side: int) -> CellSamples:
    """Cells and weights of the small map for points on the doubled one.

    Args:
        places: of P points, all inside.
        region_index: ``[P]`` int64.
        small_side: S; the doubled map has 2 S.
    """
    cells, weights = [], []
    for end, share in ((places.low, 1 - places.weight), (places.high, places.weight)):
        source = ((end + 0.5) / 2 - 0.5).clamp(min=0)
        first = source.floor()
        second_share = source - first
        cells += [first, (first + 1).clamp(max=small_side - 1)]
        weights += [share * (1 - second_share), share * second_share]
    return _crossed(cells, weights, region_index, small_side)


def sample_all_channels(maps: Tensor, samples: CellSamples) -> Tensor:
    """All channels of maps ``[R, C, S, S]`` at points, ``[P, C]`` float32."""
    count = maps.shape[2] * maps.shape[3]
    rows = maps.flatten(2).transpose(1, 2).reshape(-1, maps.shape[1])  # [R S S, C]
    index = samples.region_index[:, None] * count + samples.cell_index
    values = rows.index_select(0, index.flatten()).float().unflatten(0, index.shape)  # [P, K, C]
    return torch.einsum('pkc,pk->pc', values, samples.weights.float())


def sample_channel(maps: Tensor, samples: CellSamples, channel_index: Tensor) -> Tensor:
    """One channel of maps ``[R, C, S, S]`` at each point, ``[P]`` float32.

    Args:
        maps: ``[R, C, S, S]``.
        samples: of P points.
        channel_index: ``[P]`` int64.
    """
    count = maps.shape[2] * maps.shape[3]
    channel = samples.region_index * maps.shape[1] + channel_index
    index = channel[:, None] * count + samples.cell_index
    values = maps.flatten().gather(0, index.flatten()).float().view(index.shape)
    return (values * samples.weights.float()).sum(1)


def plain_samples(places: GridPlaces, region_index: Tensor, side: int) -> CellSamples:
    """Cells and weights ``[P, 4]`` of the doubled map itself.

    Args:
        places: of P points, all inside.
        region_index: ``[P]`` int64.
        side: of the doubled map.
    """
    weights = [1 - places.weight, places.weight]
    return _crossed([places.low, places.high], weights, region_index, side)


def _crossed(
    cells: list[Tensor], weights: list[Tensor], region_index: Tensor, side: int
) -> CellSamples:
    """N cells and weights of each axis, ``[P, 2]`` each, as n x n of the map."""
    index, weight = torch.stack(cells, dim=2).long(), torch.stack(weights, dim=2)  # [P, 2, n]
    cell_index = index[:, 1, :, None] * side + index[:, 0, None, :]
    products = weight[:, 1, :, None] * weight[:, 0, None, :]
    return CellSamples(region_index, cell_index.flatten(1), products.flatten(1))
