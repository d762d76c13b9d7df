"""Rotated crops of images, and points in their frames.

A crop is (image index, x of the center, y of the center, width, height, angle) in pixels and
radians. mmcv's rotated RoIAlign takes this form. The frame of a crop has its origin in the center
of the crop and its units are the sides, so that points inside are within -0.5 to 0.5. In a crop of
angle a a point p lies at R(a) (p - center) / sides, where R rotates x towards y.

Shapes: M crops, K points.
"""

import torch
from torch import Tensor


def crops_around(
    boxes_xyxy: Tensor, image_index: Tensor, margin: float, aspect: float = 1.0
) -> Tensor:
    """Upright crops ``[M, 6]`` around boxes.

    Args:
        boxes_xyxy: ``[M, 4]`` px.
        image_index: ``[M]``, the image of each box.
        margin: sides of the crop, relative to those of the smallest crop that holds the box.
        aspect: width relative to height of the crops.
    """
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    widths = torch.maximum(sides[:, :1], sides[:, 1:] * aspect).clamp(min=max(1.0, aspect))
    crops = (centers, margin * widths, margin * widths / aspect, torch.zeros_like(widths))
    return torch.cat((image_index[:, None].to(centers.dtype), *crops), dim=1)


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
    """Points ``[M, K, 2]`` px, or ``[M, K, 3]`` with a depth, in the frames of their crops.

    A depth is measured in widths.
    """
    flat = _rotated(points[..., :2] - crops[:, None, 1:3], crops[:, 5]) / crops[:, None, 3:5]
    return torch.cat((flat, points[..., 2:] / crops[:, 3, None, None]), dim=-1)


def from_crops(points: Tensor, crops: Tensor) -> Tensor:
    """Points ``[M, K, 2]`` or ``[M, K, 3]`` in the frames of their crops, in px again."""
    scaled = points[..., :2] * crops[:, None, 3:5]
    flat = _rotated(scaled, -crops[:, 5]) + crops[:, None, 1:3]
    return torch.cat((flat, points[..., 2:] * crops[:, 3, None, None]), dim=-1)


def crop_matrices(crops: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """The affine maps from the image to the pixels of the crops, ``[M, 3, 3]``.

    Args:
        crops: ``[M, 6]``.
        size_wh: width and height of the crops' pixels.
    """
    _, x, y, crop_width, crop_height, angle = crops.unbind(1)
    across, down = size_wh[0] / crop_width, size_wh[1] / crop_height
    cos, sin = angle.cos(), angle.sin()
    a, b, c, d = across * cos, -across * sin, down * sin, down * cos
    right, below = size_wh[0] / 2 - (a * x + b * y), size_wh[1] / 2 - (c * x + d * y)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack((a, b, right, c, d, below, zero, zero, one), dim=1).view(-1, 3, 3)


def _rotated(points: Tensor, angles: Tensor) -> Tensor:
    """Points ``[M, K, 2]`` rotated from x towards y."""
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x, y = points.unbind(-1)
    return torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1)
