"""Fuse neck: the features of a frame and of a reference frame, aligned and made one.

Source: VPSNet (Kim et al., "Video Panoptic Segmentation", CVPR 2020), section 3.2. The levels of
the pyramid are gathered in one map; the reference's is warped along the optical flow, and a second
time along the residual flow that the features show; attention fuses both; the result is scattered
over the levels of the target.

Deviations: see :mod:`mmext.vpsnet.flow_warping` (``align_corners``),
:mod:`mmext.vpsnet.temporal_spatial_attention` (odd sizes) and
:mod:`mmext.vpsnet.residual_flow` (starts at zero); the refinement starts small.

Shape legend: N frames, C channels, ``h x w`` cells of the finest level, ``H x W`` pixels of the
network input.
"""

import torch
from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType
from mmengine.model import BaseModule, normal_init
from torch import Tensor
from torch.nn import functional as F

from mmext.registry import MODELS
from mmext.vpsnet.flow_warping import resize_flow, warp


@MODELS.register_module()
class FuseNeck(BaseModule):
    """Fuses the pyramid of a frame with the gathered map of its reference frame.

    Args:
        channels: C of every level.
        residual_flow: a :class:`~mmext.vpsnet.residual_flow.ResidualFlow`; its channels are set.
        attention: a :class:`~mmext.vpsnet.temporal_spatial_attention.TemporalSpatialAttention`;
            its channels are set.
        align_corners: True makes a flow of zero the identity; False is what the released weights
            were trained with.
        init_cfg: as for every mmengine module.
    """

    def __init__(
        self,
        channels: int = 256,
        residual_flow: ConfigType = dict(type='mmext.ResidualFlow'),  # noqa: B006 - read only
        attention: ConfigType = dict(type='mmext.TemporalSpatialAttention'),  # noqa: B006
        align_corners: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.align_corners = align_corners
        self.residual_flow = MODELS.build(dict(residual_flow, channels=channels))
        self.attention = MODELS.build(dict(attention, channels=channels))
        self.refine = ConvModule(channels, channels, 3, padding=1)

    def init_weights(self) -> None:
        """Begins near the image model that it is added to: what it adds is small at first."""
        super().init_weights()
        normal_init(self.refine.conv, std=0.01)

    def gather(self, levels: tuple[Tensor, ...]) -> Tensor:
        """One map of a frame: the mean of all levels at the size of the finest, [N, C, h, w].

        It is all that the next frame needs of this one.
        """
        size = levels[0].shape[-2:]
        gathered = levels[0]
        for level in levels[1:]:
            gathered = gathered + F.interpolate(level, size=size, mode='nearest')
        return gathered / len(levels)

    def forward(
        self, levels: tuple[Tensor, ...], gathered: Tensor, reference: Tensor, flow: Tensor
    ) -> tuple[Tensor, ...]:
        """Fused levels, of the same shapes.

        Args:
            levels: of the target frames, each [N, C, h_i, w_i], finest first.
            gathered: their :meth:`gather`, [N, C, h, w].
            reference: the reference frames' :meth:`gather`, [N, C, h, w].
            flow: from target to reference, [N, 2, H, W], (x, y) in pixels of the network input.
        """
        aligned = self.align(gathered, reference, flow)
        fused = self.refine(self.attention(torch.stack((gathered, aligned), dim=1)))
        return self.scatter(fused, levels)

    def align(self, gathered: Tensor, reference: Tensor, flow: Tensor) -> Tensor:
        """The reference's map [N, C, h, w] seen from the target; arguments as for the call."""
        height, width = gathered.shape[-2:]
        flow = resize_flow(flow, (height, width))
        warped = warp(reference, flow, self.align_corners)
        residual = self.residual_flow(gathered, warped, flow)
        return warp(warped, residual, self.align_corners)

    def scatter(self, fused: Tensor, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The levels plus the fused map, max-pooled to the size of each."""
        return tuple(level + F.adaptive_max_pool2d(fused, level.shape[-2:]) for level in levels)
