"""Square, rotated crops of faces, and points in their frames.

A crop is (image index, x of the center, y of the center, side, side, angle) in pixels and radians.
mmcv's rotated RoIAlign takes this form. The frame of a crop has its origin in the center of the
crop and its unit is the side, so that points inside are within -0.5 to 0.5. In a crop of angle a a
point p lies at R(a) (p - center) / side, where R rotates x towards y.

Shapes: M crops, K points.
"""

import torch
from torch import Tensor


def crops_around(boxes_xyxy: Tensor, image_index: Tensor, margin: float) -> Tensor:
    """Upright crops ``[M, 6]`` around boxes.

    Args:
        boxes_xyxy: ``[M, 4]`` px.
        image_index: ``[M]``, the image of each box.
        margin: side of the crop, relative to the longer side of the box.
    """
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    sides = margin * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).amax(dim=1, keepdim=True).clamp(min=1)
    angles = torch.zeros_like(sides)
    return torch.cat((image_index[:, None].to(centers.dtype), centers, sides, sides, angles), dim=1)


def jittered(crops: Tensor, shift: float, scale: float, rotation: float) -> Tensor:
    """The crops, with random errors as those of a detector; all errors are normal.

    Args:
        crops: ``[M, 6]``.
        shift: standard deviation of the center, in sides.
        scale: standard deviation of the logarithm of the side.
        rotation: standard deviation of the angle, in radians.

    Returns:
        ``[M, 6]``.
    """
    noise = torch.randn(len(crops), 4, device=crops.device, dtype=crops.dtype)
    centers = crops[:, 1:3] + shift * noise[:, :2] * crops[:, 3:5]
    sides = crops[:, 3:5] * (scale * noise[:, 2:3]).exp()
    return torch.cat((crops[:, :1], centers, sides, crops[:, 5:] + rotation * noise[:, 3:]), dim=1)


def upright(crops: Tensor, left_xy: Tensor, right_xy: Tensor) -> Tensor:
    """The crops ``[M, 6]``, rotated so that both points ``[M, 2]`` px lie at one height."""
    x, y = (right_xy - left_xy).unbind(1)
    return torch.cat((crops[:, :5], -torch.atan2(y, x)[:, None]), dim=1)


def to_crops(points: Tensor, crops: Tensor) -> Tensor:
    """Points ``[M, K, 2]`` px, or ``[M, K, 3]`` with a depth, in the frames of their crops."""
    flat = _rotated(points[..., :2] - crops[:, None, 1:3], crops[:, 5])
    return torch.cat((flat, points[..., 2:]), dim=-1) / crops[:, 3, None, None]


def from_crops(points: Tensor, crops: Tensor) -> Tensor:
    """Points ``[M, K, 2]`` or ``[M, K, 3]`` in the frames of their crops, in px again."""
    scaled = points * crops[:, 3, None, None]
    flat = _rotated(scaled[..., :2], -crops[:, 5]) + crops[:, None, 1:3]
    return torch.cat((flat, scaled[..., 2:]), dim=-1)


def _rotated(points: Tensor, angles: Tensor) -> Tensor:
    """Points ``[M, K, 2]`` rotated from x towards y."""
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x, y = points.unbind(-1)
    return torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1)
