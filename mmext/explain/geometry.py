"""Where a pixel of the network's input lies in the picture as it was, and the other way.

The input is the picture, resized and padded. ``border`` is the place of the picture in an input
that is padded on all sides, as of CenterNet. Pixel centers are at .5.

Shape legend: K maps, ``H x W`` input with padding, ``h x w`` original picture.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class Frame(NamedTuple):
    """Where the picture is in the input.

    Attributes:
        top: first row of the picture in the input, px.
        left: first column.
        inner_hw: size of the picture in the input.
        original_hw: size of the picture as it was.
        flipped: whether the input is its mirror image, from left to right.
    """

    top: int
    left: int
    inner_hw: tuple[int, int]
    original_hw: tuple[int, int]
    flipped: bool = False

    @property
    def scale_wh(self) -> tuple[float, float]:
        """Input pixels per original pixel, along x and y."""
        return (
            self.inner_hw[1] / self.original_hw[1],
            self.inner_hw[0] / self.original_hw[0],
        )


def frame_of(meta: Mapping[str, Any]) -> Frame:
    """The frame of an image by ``img_shape``, ``ori_shape``, ``border`` and ``flip`` of its meta.

    Raises:
        ValueError: the image was flipped otherwise than from left to right.
    """
    flipped = bool(meta.get('flip', False))
    if flipped and meta.get('flip_direction', 'horizontal') != 'horizontal':
        raise ValueError(f'the image is flipped: {meta["flip_direction"]}')
    height, width = (int(n) for n in meta['ori_shape'][:2])
    border = meta.get('border')
    if border is not None:
        top, bottom, left, right = (round(float(edge)) for edge in border)
        return Frame(top, left, (bottom - top, right - left), (height, width), flipped)
    inner = int(meta['img_shape'][0]), int(meta['img_shape'][1])
    return Frame(0, 0, inner, (height, width), flipped)


def to_original(maps: Tensor, frame: Frame) -> Tensor:
    """Maps of the input ``[K, H, W]`` as maps of the picture ``[K, h, w]``; padding is cut off."""
    height, width = frame.inner_hw
    inner = maps[:, frame.top : frame.top + height, frame.left : frame.left + width]
    if frame.flipped:
        inner = inner.flip(2)
    if tuple(inner.shape[1:]) == frame.original_hw:
        return inner
    shrinks = frame.original_hw[0] < height or frame.original_hw[1] < width
    resized = interpolate(
        inner[None], frame.original_hw, mode='bilinear', align_corners=False, antialias=shrinks
    )
    return resized[0]


def to_input_map(maps: Tensor, frame: Frame, size_hw: tuple[int, int]) -> Tensor:
    """Maps of the picture ``[K, h, w]`` as maps of the input ``[K, H, W]``; padding gets less.

    Args:
        maps: any values.
        frame: of the picture.
        size_hw: of the input.
    """
    inner = maps
    if tuple(maps.shape[1:]) != frame.inner_hw:
        inner = interpolate(
            maps[None], frame.inner_hw, mode='bilinear', align_corners=False, antialias=True
        )[0]
    if frame.flipped:
        inner = inner.flip(2)
    whole = maps.new_full((len(maps), *size_hw), float(maps.min()) - 1)
    whole[
        :, frame.top : frame.top + frame.inner_hw[0], frame.left : frame.left + frame.inner_hw[1]
    ] = inner
    return whole


def to_input(points_xy: Tensor, frame: Frame) -> Tensor:
    """Points ``[..., 2]`` of the picture, px, as points of the input; corners of boxes are points.

    >>> to_input(torch.tensor([10.5, 20.5]), Frame(0, 0, (100, 200), (50, 100))).tolist()
    [21.0, 41.0]
    """
    scale = points_xy.new_tensor(frame.scale_wh)
    points = points_xy * scale
    if frame.flipped:
        points = torch.stack([frame.inner_hw[1] - points[..., 0], points[..., 1]], -1)
    return points + points_xy.new_tensor([frame.left, frame.top])


def boxes_to_input(boxes_xyxy: Tensor, frame: Frame) -> Tensor:
    """Boxes ``[n, 4]`` of the picture, px, as boxes of the input."""
    corners = to_input(boxes_xyxy.view(-1, 2, 2), frame)  # [n, 2, 2]
    low, high = corners.amin(1), corners.amax(1)
    return torch.cat([low, high], 1)


def inside(frame: Frame, size_hw: tuple[int, int]) -> Tensor:
    """``[H, W]`` bool: the pixels of an input of this size that are no padding."""
    mask = torch.zeros(size_hw, dtype=torch.bool)
    height, width = frame.inner_hw
    mask[frame.top : frame.top + height, frame.left : frame.left + width] = True
    return mask
