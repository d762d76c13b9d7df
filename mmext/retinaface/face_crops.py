"""Square, turned crops of faces, and points in their frames.

A crop is (image, x of the centre, y of the centre, side, side, angle), in pixels and radians, the
form that mmcv's rotated RoIAlign takes. Points of a crop are relative to its centre and in units
of its side, -0.5 to 0.5 inside; with a crop of angle a they lie at R(a) (p - centre) / side, where
R turns x towards y.

Shapes: M crops, K points.
"""

import torch
from torch import Tensor


def crops_around(boxes_xyxy: Tensor, image: Tensor, margin: float) -> Tensor:
    """Upright crops ``[M, 6]`` around boxes ``[M, 4]``; the longer side times ``margin``.

    Args:
        boxes_xyxy: pixels.
        image: ``[M]``, number of the image.
        margin: of the side.
    """
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    sides = margin * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).amax(dim=1, keepdim=True).clamp(min=1)
    angles = torch.zeros_like(sides)
    return torch.cat((image[:, None].to(centers.dtype), centers, sides, sides, angles), dim=1)


def jittered(crops: Tensor, shift: float, scale: float, turn: float) -> Tensor:
    """The crops as a detector's faults might make them; deviations of normal distributions.

    Args:
        crops: ``[M, 6]``.
        shift: of the centre, in sides.
        scale: of the logarithm of the side.
        turn: of the angle, radians.
    """
    noise = torch.randn(len(crops), 4, device=crops.device, dtype=crops.dtype)
    centers = crops[:, 1:3] + shift * noise[:, :2] * crops[:, 3:5]
    sides = crops[:, 3:5] * (scale * noise[:, 2:3]).exp()
    return torch.cat((crops[:, :1], centers, sides, crops[:, 5:] + turn * noise[:, 3:]), dim=1)


def upright(crops: Tensor, left_xy: Tensor, right_xy: Tensor) -> Tensor:
    """The crops, turned so that the right point ``[M, 2]`` lies level with the left one."""
    x, y = (right_xy - left_xy).unbind(1)
    return torch.cat((crops[:, :5], -torch.atan2(y, x)[:, None]), dim=1)


def to_crops(points: Tensor, crops: Tensor) -> Tensor:
    """Points ``[M, K, 2]`` px, or ``[M, K, 3]`` with a depth, in the frames of their crops."""
    flat = _turned(points[..., :2] - crops[:, None, 1:3], crops[:, 5])
    return torch.cat((flat, points[..., 2:]), dim=-1) / crops[:, 3, None, None]


def from_crops(points: Tensor, crops: Tensor) -> Tensor:
    """The inverse of :func:`to_crops`."""
    scaled = points * crops[:, 3, None, None]
    flat = _turned(scaled[..., :2], -crops[:, 5]) + crops[:, None, 1:3]
    return torch.cat((flat, scaled[..., 2:]), dim=-1)


def _turned(points: Tensor, angles: Tensor) -> Tensor:
    """Points ``[M, K, 2]`` turned from x towards y."""
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x, y = points.unbind(-1)
    return torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1)
