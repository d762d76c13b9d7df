"""From points to heat-maps and back, by the names of a config.

Shapes: N crops, K points, ``H x W`` cells. Points are x, y in sides of the crop: 0 to 1 inside.
"""

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.landmark_decoding import (
    Method,
    QuarterRule,
    check_kernel_size,
    decode_heatmaps,
)
from mmext.functional.landmark_heatmaps import (
    Frame,
    cells_to_points,
    landmark_heatmaps,
    named_stamp,
    points_to_cells,
)


@dataclass(frozen=True)
class HeatmapCodec:
    """What the heat-map of a point is, and how the point is read from it.

    Attributes:
        stamp: one of :data:`~mmext.functional.landmark_heatmaps.STAMPS`; with the default frame the
            names of published codes stand for their Gaussians, not for their frames.
        sigma: of the Gaussian, cells; None takes the stamp's.
        decoder: a method of :func:`~mmext.functional.landmark_decoding.decode_heatmaps`.
        rule: of the decoder ``'quarter'``.
        kernel_size: of the blur of both Taylor decoders.
        frame: where cells lie, see :data:`~mmext.functional.landmark_heatmaps.Frame`.

    Raises:
        InputError: an unknown name or an impossible number.
    """

    stamp: str = 'dark'
    sigma: float | None = None
    decoder: Method = 'taylor'
    rule: QuarterRule = 'interior'
    kernel_size: int = 11
    frame: Frame = 'continuous'

    def __post_init__(self) -> None:
        named_stamp(self.stamp, self.sigma)
        check_kernel_size(self.kernel_size)
        for name, known in (('decoder', Method), ('rule', QuarterRule), ('frame', Frame)):
            if getattr(self, name) not in get_args(known):
                raise InputError(
                    f'codec.{name}: expected one of {get_args(known)}, got {getattr(self, name)!r}'
                )

    def encode(
        self, points: Tensor, visible: Tensor, input_wh: tuple[int, int], map_hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """The maps of points.

        Args:
            points: ``[N, K, 2]`` in sides.
            visible: ``[N, K]``, 0 = not annotated.
            input_wh: width and height of the crops, px.
            map_hw: height and width of the maps, cells.

        Returns:
            Maps ``[N, K, H, W]``, and weights ``[N, K]`` of 0 and 1.
        """
        pixels = points * points.new_tensor(input_wh)
        cells = points_to_cells(pixels, input_wh, map_hw[::-1], self.frame)
        return landmark_heatmaps(cells, visible, map_hw, named_stamp(self.stamp, self.sigma))

    def decode(self, maps: Tensor, input_wh: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The points of maps.

        Args:
            maps: ``[N, K, H, W]``.
            input_wh: width and height of the crops, px.

        Returns:
            Points ``[N, K, 2]`` in sides, and scores ``[N, K]``, heights of the peaks cut to 0..1.
        """
        cells, heights = decode_heatmaps(maps, self.decoder, self.rule, self.kernel_size)
        map_wh = maps.shape[3], maps.shape[2]
        pixels = cells_to_points(cells, input_wh, map_wh, self.frame)
        return pixels / pixels.new_tensor(input_wh), torch.clamp(heights, 0, 1)

    def unflipped(self, maps: Tensor, input_wh: tuple[int, int]) -> Tensor:
        """Maps of flipped crops, flipped back to where those of the crops lie.

        In the frames of published codes a flipped map is off: by one cell where the first pixel
        lies at the first cell, by a part of one where the corners do (there it is interpolated).

        Args:
            maps: ``[N, K, H, W]``.
            input_wh: width and height of the crops, px.

        Returns:
            ``[N, K, H, W]``.
        """
        flipped = maps.flip(3)
        if self.frame == 'continuous':
            return flipped
        shifted = torch.cat((flipped[..., :1], flipped[..., :-1]), dim=3)
        if self.frame == 'left_aligned':
            return shifted
        part = (maps.shape[3] - 1) / (input_wh[0] - 1)
        return torch.lerp(flipped, shifted, part)
