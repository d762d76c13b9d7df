"""Boxes, points and meshes relative to a prior, and back.

With a prior of center c and size s, and the variances v_c, v_s of the rules:

- box of center g and size w:  (g - c) / (v_c s),  log(w / s) / v_s
- point p:                     (p - c) / (v_c s)
- mesh vertex (p, z):          (p - c) / (v_c s),  z / (v_c m), m = mean of the two sides of s

Source: Deng et al., RetinaFace, arXiv 1905.00641 v2 (without variances); the variances are those
of SSD (Liu et al., 2016). Shapes: priors ``[..., 4]`` as (center, size) px.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmext.retinaface.priors import to_corners

_SMALLEST_SIDE_PX = 1e-3  # of a box whose logarithm is taken
_LARGEST_LOG = 10.0  # a box is at most e**10 priors wide: no infinities out of a wild network


@dataclass(frozen=True)
class Encoding:
    """The variances: offsets are divided by ``center``, logarithms of sizes by ``size``."""

    center: float = 1.0
    size: float = 1.0


def encode_boxes(boxes_xyxy: Tensor, priors: Tensor, encoding: Encoding) -> Tensor:
    """Boxes ``[..., 4]`` px to deltas ``[..., 4]``; a box of no size counts as 1e-3 px wide."""
    starts, ends = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    offsets = ((starts + ends) / 2 - priors[..., :2]) / (encoding.center * priors[..., 2:])
    sizes = (ends - starts).clamp(min=_SMALLEST_SIDE_PX) / priors[..., 2:]
    return torch.cat((offsets, sizes.log() / encoding.size), dim=-1)


def decode_boxes(deltas: Tensor, priors: Tensor, encoding: Encoding) -> Tensor:
    """Deltas ``[..., 4]`` to boxes (x1, y1, x2, y2) px."""
    centers = priors[..., :2] + deltas[..., :2] * (encoding.center * priors[..., 2:])
    logs = (deltas[..., 2:] * encoding.size).clamp(max=_LARGEST_LOG)
    return to_corners(torch.cat((centers, logs.exp() * priors[..., 2:]), dim=-1))


def encode_points(points: Tensor, priors: Tensor, encoding: Encoding) -> Tensor:
    """Points ``[..., K, 2]`` or vertices ``[..., K, 3]``, px, to offsets of the same shape."""
    return (points - _centers(points, priors)) / _scales(points, priors, encoding)


def decode_points(offsets: Tensor, priors: Tensor, encoding: Encoding) -> Tensor:
    """Offsets ``[..., K, 2]`` or ``[..., K, 3]`` to points or vertices, px."""
    return offsets * _scales(offsets, priors, encoding) + _centers(offsets, priors)


def _centers(points: Tensor, priors: Tensor) -> Tensor:
    """The zero point of each coordinate: the prior's center, depth 0."""
    centers = priors[..., None, :2]
    if points.shape[-1] == 3:
        return torch.cat((centers, torch.zeros_like(centers[..., :1])), dim=-1)
    return centers


def _scales(points: Tensor, priors: Tensor, encoding: Encoding) -> Tensor:
    sides = priors[..., None, 2:]
    if points.shape[-1] == 3:
        sides = torch.cat((sides, sides.mean(dim=-1, keepdim=True)), dim=-1)
    return encoding.center * sides
