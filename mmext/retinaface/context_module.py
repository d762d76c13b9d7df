"""Context module: three receptive fields beside each other.

Najibi et al., "SSH: Single Stage Headless Face Detector", ICCV 2017, as RetinaFace has it:
3x3, 5x5 and 7x7 out of stacked 3x3 convolutions, the 7x7 one continuing the first convolution of
the 5x5 one. mmdet's ``SSH`` has the same branches with ReLU alone.
"""

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.utils import OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor

from mmext.errors import InputError
from mmext.registry import MODELS


@MODELS.register_module()
class ContextModule(BaseModule):
    """Context of one pyramid level.

    Args:
        in_channels: of the level.
        out_channels: divisible by 4: half from 3x3, a quarter each from 5x5 and 7x7.
        conv_cfg: of every convolution, ``dict(type='mmext.ModulatedDeformConv2dPack')`` in the
            paper.
        norm_cfg: of every convolution.
        act_cfg: of the inner convolutions; the output passes a ReLU.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv_cfg: OptConfigType = None,
        norm_cfg: OptConfigType = dict(type='BN'),  # noqa: B006 - read only
        act_cfg: OptConfigType = dict(type='ReLU'),  # noqa: B006 - read only
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        if out_channels % 4:
            raise InputError(f'out_channels: expected a multiple of 4, got {out_channels}')
        half, quarter = out_channels // 2, out_channels // 4

        def conv(inputs: int, outputs: int, act: OptConfigType) -> ConvModule:
            return ConvModule(
                inputs, outputs, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act
            )

        self.conv3x3 = conv(in_channels, half, None)
        self.conv5x5_1 = conv(in_channels, quarter, act_cfg)
        self.conv5x5_2 = conv(quarter, quarter, None)
        self.conv7x7_2 = conv(quarter, quarter, act_cfg)
        self.conv7x7_3 = conv(quarter, quarter, None)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, in, H, W]`` to ``[N, out, H, W]``."""
        inner = self.conv5x5_1(x)
        branches = (
            self.conv3x3(x),
            self.conv5x5_2(inner),
            self.conv7x7_3(self.conv7x7_2(inner)),
        )
        return F.relu(torch.cat(branches, dim=1))
