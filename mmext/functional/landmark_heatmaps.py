"""Heat-maps that landmarks are trained to be, and the frames that published codes mean by them.

Newell et al., "Stacked Hourglass Networks", ECCV 2016; Bulat and Tzimiropoulos, "How far are we
from solving the 2D & 3D face alignment problem?", ICCV 2017 (FAN); Xiao et al., "Simple
Baselines", ECCV 2018 (MSRA); Zhang et al., "Distribution-Aware Coordinate Representation", CVPR
2020 (DARK); Huang et al., "The Devil is in the Details", CVPR 2020 (UDP).

A Gaussian is the outer product of two vectors, so that the maps of all points cost one product.

Shape legend: N crops, K points, ``H x W`` cells. Points are x, y in pixels of the crop with (0, 0)
at its corner. *Cells* are x, y on the map with the centers of its cells at whole numbers.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from mmext.errors import InputError

Frame = Literal['continuous', 'left_aligned', 'corner_aligned']
"""Where the cells of a map lie in its crop.

``'continuous'``: the map covers the crop, a cell its share of it; the mirror image of a crop has
the mirrored map. ``'left_aligned'``: the first pixel lies at the first cell's center, as in the
codes of Simple Baselines, HRNet and mmpose. ``'corner_aligned'``: the first and last pixels lie at
the first and last cells' centers (UDP); as released, decoding is into the crop's frame, larger by
``W / (W - 1)``.
"""
Sizes = tuple[int, int]

# products of two such values are normal numbers still; processors are slow with others
_LEAST_EXPONENT = -43.0


def points_to_cells(
    points_xy: Tensor, input_wh: Sizes, map_wh: Sizes, frame: Frame = 'continuous'
) -> Tensor:
    """Where points lie on the map, in cells.

    Args:
        points_xy: ``[..., 2]`` px of the crop.
        input_wh: width and height of the crop, px.
        map_wh: width and height of the map, cells.
        frame: see :data:`Frame`.

    Returns:
        ``[..., 2]``.

    Raises:
        ValueError: an unknown frame.

    >>> points_to_cells(torch.tensor([[2.0, 254.0]]), (256, 256), (64, 64)).tolist()
    [[0.0, 63.0]]
    """
    _check_frame(frame)
    pixels, cells = points_xy.new_tensor(input_wh), points_xy.new_tensor(map_wh)
    if frame == 'corner_aligned':
        return points_xy * (cells - 1) / (pixels - 1)
    scaled = points_xy * (cells / pixels)
    return scaled - 0.5 if frame == 'continuous' else scaled


def cells_to_points(
    cells_xy: Tensor, input_wh: Sizes, map_wh: Sizes, frame: Frame = 'continuous'
) -> Tensor:
    """The reverse of :func:`points_to_cells`, as the published codes of each frame have it.

    Args:
        cells_xy: ``[..., 2]``.
        input_wh: width and height of the crop, px.
        map_wh: width and height of the map, cells.
        frame: see :data:`Frame`.

    Returns:
        ``[..., 2]`` px of the crop.

    Raises:
        ValueError: an unknown frame.
    """
    _check_frame(frame)
    pixels, cells = cells_xy.new_tensor(input_wh), cells_xy.new_tensor(map_wh)
    if frame == 'corner_aligned':
        return cells_xy * (pixels / (cells - 1))
    return (cells_xy + 0.5 if frame == 'continuous' else cells_xy) * (pixels / cells)


@dataclass(frozen=True)
class Stamp:
    """What is drawn around a point.

    Attributes:
        sigma: of the Gaussian, cells.
        radius: cells further away than this from the nearest cell, along x or y, are not drawn.
        exact: the Gaussian's center is the point itself, not the nearest cell.
        cut: False draws the whole map; ``radius`` then only says which points are too far outside.
    """

    sigma: float
    radius: int
    exact: bool = False
    cut: bool = True


STAMPS = {
    'newell': Stamp(1.75, 3),  # named 1 there; drawn with a quarter of the window of 7
    'pytorch-pose': Stamp(1.0, 3),
    'princeton': Stamp(1.0, 4),
    'fan': Stamp(3.25, 6),  # named 2 there; a quarter of the window of 13
    'msra': Stamp(2.0, 6),
    'dark': Stamp(2.0, 6, exact=True, cut=False),
    'udp': Stamp(2.0, 6, exact=True),
}
"""What published codes draw on 64 x 64 cells, whatever they call their sigma."""


def named_stamp(name: str, sigma: float | None = None) -> Stamp:
    """A stamp of :data:`STAMPS`, or the same with another sigma and a radius that grows with it.

    Raises:
        InputError: an unknown name, or a sigma that is not above 0.
    """
    if name not in STAMPS:
        raise InputError(f'stamp: expected one of {", ".join(STAMPS)}, got {name!r}')
    stamp = STAMPS[name]
    if sigma is None:
        return stamp
    if not sigma > 0:
        raise InputError(f'sigma: expected cells above 0, got {sigma}')
    return replace(stamp, sigma=sigma, radius=max(1, round(stamp.radius * sigma / stamp.sigma)))


def landmark_heatmaps(
    cells_xy: Tensor, visible: Tensor, map_hw: Sizes, stamp: Stamp
) -> tuple[Tensor, Tensor]:
    """One Gaussian for each point, of peak 1 at its center.

    Args:
        cells_xy: ``[N, K, 2]``, see :func:`points_to_cells`.
        visible: ``[N, K]``, a point of 0 has an empty map.
        map_hw: height and width of the maps.
        stamp: what is drawn.

    Returns:
        Maps ``[N, K, H, W]``, and weights ``[N, K]``: 1, or 0 for a point that is not annotated or
        whose window misses the map. A point outside near the border has a partial stamp and counts.
    """
    height, width = map_hw
    nearest = (cells_xy + 0.5).floor_()
    x, y = nearest.unbind(-1)
    radius = stamp.radius
    touches = (x >= -radius) & (x < width + radius) & (y >= -radius) & (y < height + radius)
    # NaN and infinity touch nothing
    drawn = touches & (visible > 0)
    weights = drawn.to(cells_xy.dtype)
    centers = (cells_xy if stamp.exact else nearest).where(drawn[..., None], 0)
    steps = torch.arange(max(map_hw), dtype=cells_xy.dtype, device=cells_xy.device)
    exponents = (steps - centers[..., None]).square_().mul_(-0.5 / stamp.sigma**2)
    values = exponents.clamp_(min=_LEAST_EXPONENT).exp_()  # [N, K, 2, steps]
    if stamp.cut:
        values *= (steps - nearest[..., None]).abs_() <= radius
    along_x, along_y = values[..., 0, :width], values[..., 1, :height] * weights[..., None]
    return along_y[..., :, None] * along_x[..., None, :], weights


def _check_frame(frame: str) -> None:
    if frame not in get_args(Frame):
        raise ValueError(f'frame: expected one of {get_args(Frame)}, got {frame!r}')
