"""The feature pyramid of YolactEdge, in the two phases that its video mode takes apart.

Liu et al., "YolactEdge", ICRA 2021; numbers of the released code. Phase 1 merges the laterals from
the top down, phase 2 smooths them and adds two levels. Unlike the host's FPN the smoothing is
followed by a ReLU and the added levels come from the smoothed P5: so are the released weights
trained.

Shapes: C3, C4, C5 are maps of the backbone at strides 8, 16, 32; M channels of the pyramid.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.registry import MODELS


class LateralPhase(BaseModule):
    """Phase 1: laterals, merged from the top down.

    Args:
        in_channels: of C3, C4, C5.
        out_channels: M.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(
            nn.Conv2d(channels, out_channels, 1) for channels in in_channels
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The merged laterals.

        Args:
            maps: C3, C4, C5, each ``[B, C_i, H_i, W_i]``.

        Returns:
            One ``[B, M, H_i, W_i]`` for each.
        """
        return self.merge(self.laterals(maps))

    def laterals(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps with M channels each, not merged."""
        return [conv(level) for conv, level in zip(self.lateral_convs, maps, strict=True)]

    @staticmethod
    def merge(laterals: Sequence[Tensor]) -> list[Tensor]:
        """Laterals ``[B, M, H_i, W_i]``, each with those below it added."""
        merged = [laterals[-1]]
        for lateral in laterals[-2::-1]:
            merged.append(lateral + resize_like(merged[-1], lateral))
        return merged[::-1]


class SmoothingPhase(BaseModule):
    """Phase 2: a 3x3 convolution with ReLU for each level, and further levels from the last.

    Args:
        channels: M.
        num_merged: levels of phase 1.
        num_added: levels below, each of half the size; without ReLU.
    """

    def __init__(self, channels: int, num_merged: int, num_added: int) -> None:
        super().__init__()
        self.output_convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(num_merged)
        )
        self.downsample_convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(num_added)
        )

    def forward(self, merged: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The pyramid.

        Args:
            merged: what phase 1 returns, each ``[B, M, H_i, W_i]``.

        Returns:
            P3, P4, ..., each ``[B, M, H_i, W_i]``.
        """
        levels = [F.relu(conv(x)) for conv, x in zip(self.output_convs, merged, strict=True)]
        for conv in self.downsample_convs:
            levels.append(conv(levels[-1]))
        return tuple(levels)


@MODELS.register_module()
class YolactEdgeFPN(BaseModule):
    """Both phases one after the other.

    Args:
        in_channels: of the backbone's maps, finest first.
        out_channels: of every level.
        num_outs: levels, the added ones included.
        init_cfg: of mmengine; uniform Xavier, biases 0, as released.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        num_outs: int = 5,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        default = dict(type='Xavier', layer='Conv2d', distribution='uniform')
        super().__init__(init_cfg or default)
        self.phase_1 = LateralPhase(in_channels, out_channels)
        self.phase_2 = SmoothingPhase(
            out_channels, len(in_channels), max(num_outs - len(in_channels), 0)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The pyramid ``[B, M, H_i, W_i]`` of maps ``[B, C_i, H_i, W_i]``."""
        levels: tuple[Tensor, ...] = self.phase_2(self.phase_1(maps))
        return levels


def resize_like(x: Tensor, other: Tensor) -> Tensor:
    """A map ``[B, M, h, w]`` at the size of another one, bilinear with half-pixel centers."""
    return F.interpolate(x, other.shape[2:], mode='bilinear', align_corners=False)
