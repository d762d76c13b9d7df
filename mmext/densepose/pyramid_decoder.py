"""One map of stride 4 from the levels of a pyramid, in which all regions are looked at.

Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019, section 3.1, without norm.
"""

from collections.abc import Sequence
from typing import cast

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.registry import MODELS


@MODELS.register_module()
class PyramidDecoder(BaseModule):
    """Levels of strides 4, 8, 16, ... -> one map of stride 4.

    Level k has max(1, k) convolutions 3 x 3 with ReLU, each but those of the first level followed
    by a bilinear enlargement by 2; then the sum, and one convolution 1 x 1.

    Args:
        in_channels: of the levels.
        channels: of the convolutions.
        out_channels: of the map.
        num_levels: how many levels are used, from stride 4 on.
        init_cfg: of mmengine.

    Raises:
        InputError: a number is below 1.
    """

    def __init__(
        self,
        in_channels: int = 256,
        channels: int = 256,
        out_channels: int = 256,
        num_levels: int = 4,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if min(in_channels, channels, out_channels, num_levels) < 1:
            raise InputError(
                'PyramidDecoder: expected channels and num_levels from 1, got '
                f'{in_channels}, {channels}, {out_channels}, {num_levels}'
            )
        self.num_levels, self.out_channels = num_levels, out_channels
        self.levels = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(channels if number else in_channels, channels, 3, padding=1)
                for number in range(max(1, level))
            )
            for level in range(num_levels)
        )
        self.predictor = nn.Conv2d(channels, out_channels, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')
                nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Levels ``[B, C, h, w]`` from stride 4 on -> ``[B, out_channels, h, w]``."""
        total: Tensor | None = None
        for number, (convs, level) in enumerate(zip(self.levels, features, strict=False)):
            for conv in cast(nn.ModuleList, convs):
                level = F.relu(conv(level))
                if number:
                    level = _enlarged(level)
            total = level if total is None else total + _cut(level, total)
        assert total is not None
        merged: Tensor = self.predictor(total)
        return merged


def _enlarged(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode='bilinear', align_corners=False)


def _cut(maps: Tensor, like: Tensor) -> Tensor:
    """Levels of odd sides grow a cell too large."""
    return maps[..., : like.shape[2], : like.shape[3]]
