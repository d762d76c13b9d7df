"""The anchors as a prior generator of the host."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.registry import TASK_UTILS
from mmext.yolact_edge.anchors import RATIOS, SCALES_PX, square_anchors


@TASK_UTILS.register_module()
class SquareAnchorGenerator:
    """Makes :func:`mmext.yolact_edge.anchors.square_anchors` for all levels.

    Unlike the host's generators it is told the size of the network input: cells divide it evenly,
    whatever it is, so that anchors lie where the released code has them.

    Args:
        scales_px: side of the anchor of ratio 1, for each level.
        ratios: area relative to it, for each anchor of a cell.
        aspect: height by width of all anchors; over 1 for objects that are tall, as persons are.
    """

    def __init__(
        self,
        scales_px: Sequence[float] = SCALES_PX,
        ratios: Sequence[float] = RATIOS,
        aspect: float = 1.0,
    ) -> None:
        if not scales_px or not ratios or min(*scales_px, *ratios, aspect) <= 0:
            raise InputError(
                'anchor_generator: expected scales_px, ratios and aspect over 0, got '
                f'{list(scales_px)}, {list(ratios)} and {aspect}'
            )
        self.aspect = aspect
        self.scales_px, self.ratios = tuple(scales_px), tuple(ratios)

    @property
    def num_base_priors(self) -> list[int]:
        """Anchors in a cell, for each level."""
        return [len(self.ratios)] * self.num_levels

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return len(self.scales_px)

    def grid_priors(
        self,
        map_sizes: Sequence[tuple[int, int]],
        canvas_size: tuple[int, int],
        device: torch.device | str = 'cpu',
    ) -> Tensor:
        """The anchors of all levels, ``[P, 4]`` (x1, y1, x2, y2) px.

        Args:
            map_sizes: (h, w) of each level.
            canvas_size: (H, W) px of the network input.
            device: of the result.

        Raises:
            InputError: the pyramid has another number of levels.
        """
        if len(map_sizes) != self.num_levels:
            raise InputError(
                f'anchor_generator: {self.num_levels} scales_px for {len(map_sizes)} levels of '
                'the pyramid; give one scale for each'
            )
        return torch.cat(
            [
                square_anchors(size, canvas_size, scale, self.ratios, device, self.aspect)
                for size, scale in zip(map_sizes, self.scales_px, strict=True)
            ]
        )
