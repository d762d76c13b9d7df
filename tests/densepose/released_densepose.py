"""The released order of steps, restated plainly: the oracle of this room's tests."""

from torch import Tensor
from torch.nn import functional as F


def doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode='bilinear', align_corners=False)


def interpolation(point: float, start: float, size: float, side: int) -> tuple[int, int, float]:
    """Low cell, high cell and weight of the high one along an axis; plain numbers."""
    place = (point - start) * side / size
    low = min(max(int(place // 1), 0), side - 1)
    high = min(low + 1, side - 1)
    return low, high, min(high, place) - low


def value_at(large: Tensor, point: list[float], region: list[float]) -> Tensor:
    """All channels of an enlarged map ``[C, S, S]`` at a point."""
    side = large.shape[1]
    (x0, x1, wx), (y0, y1, wy) = (
        interpolation(point[axis], region[axis], region[axis + 2] - region[axis], side)
        for axis in (0, 1)
    )
    upper = large[:, y0, x0] * (1 - wx) + large[:, y0, x1] * wx
    lower = large[:, y1, x0] * (1 - wx) + large[:, y1, x1] * wx
    return upper * (1 - wy) + lower * wy


def decode(
    coarse: Tensor, parts: Tensor, u: Tensor, v: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Everything is enlarged, then the label's channel is picked."""

    def resized(maps: Tensor) -> Tensor:
        return F.interpolate(maps[None], size, mode='bilinear', align_corners=False)[0]

    body = resized(coarse).argmax(0) > 0
    label = resized(parts).argmax(0) * body
    chosen = [resized(maps).gather(0, label[None])[0] * (label > 0) for maps in (u, v)]
    return label, chosen[0], chosen[1]
