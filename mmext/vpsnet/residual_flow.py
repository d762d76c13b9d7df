"""Residual flow: the displacement that is left between features aligned by the optical flow.

Source: VPSNet (Kim et al., CVPR 2020), section 3.2, and the released code, whose layer sizes are
kept (251,298 parameters at 256 channels). Four convolutions see the features of the target, their
local correlation with the features of the warped reference, and the optical flow.

Shape legend: N frames, C channels, ``h x w`` cells, d the largest displacement.
"""

from itertools import pairwise

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, constant_init
from torch import Tensor, nn

from mmext.registry import MODELS
from mmext.vpsnet.local_correlation import local_correlation


@MODELS.register_module()
class ResidualFlow(BaseModule):
    """Predicts the rest of the flow from the correlation of the features.

    Args:
        channels: C of the features.
        max_displacement: largest displacement that is compared, in cells.
        hidden_channels: of the convolutions before the last.
        init_cfg: as for every mmengine module.
    """

    def __init__(
        self,
        channels: int = 256,
        max_displacement: int = 4,
        hidden_channels: tuple[int, ...] = (64, 64, 32),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.max_displacement = max_displacement
        num_correlations = (2 * max_displacement + 1) ** 2
        widths = (channels + num_correlations + 2, *hidden_channels)
        act_cfg = dict(type='LeakyReLU', negative_slope=0.1)
        self.hidden = nn.Sequential(
            *(ConvModule(i, o, 3, padding=1, act_cfg=act_cfg) for i, o in pairwise(widths))
        )
        self.conv_flow = nn.Conv2d(widths[-1], 2, 3, padding=1)

    def init_weights(self) -> None:
        """Begin with a residual flow of zero."""
        super().init_weights()
        constant_init(self.conv_flow, 0)

    def forward(self, target: Tensor, warped: Tensor, flow: Tensor) -> Tensor:
        """Flow from the target to the warped reference, ``[N, 2, h, w]`` in cells.

        Args:
            target: ``[N, C, h, w]``.
            warped: the reference's features along ``flow``, ``[N, C, h, w]``.
            flow: ``[N, 2, h, w]`` in cells.
        """
        correlation = local_correlation(target, warped, self.max_displacement)
        inputs = (target, correlation.to(target.dtype), flow.to(target.dtype))
        return self.conv_flow(self.hidden(torch.cat(inputs, dim=1)))
