"""Attention over frames and positions, which makes one map of two aligned frames.

Source: the TSA module of Wang et al., "EDVR", CVPR workshops 2019, section 3.3, with one pyramid
level, as VPSNet (Kim et al., CVPR 2020, section 3.2) uses it: 2,885,888 parameters at 256
channels.

Deviations: maps of odd height or width work (the released code fails on them), because the spatial
attention is brought back to the size of the map instead of being doubled; embeddings start small.

Shape legend: N samples, C channels, ``h x w`` cells; the frames are the target and the reference.
"""

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, normal_init
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.registry import MODELS

_LEAKY = dict(type='LeakyReLU', negative_slope=0.1)


@MODELS.register_module()
class TemporalSpatialAttention(BaseModule):
    """Weight frames cell by cell by their similarity to the target, then positions by a mask.

    Args:
        channels: C.
        init_cfg: as for every mmengine module.
    """

    def __init__(self, channels: int = 256, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.embed_target = nn.Conv2d(channels, channels, 3, padding=1)
        self.embed_frame = nn.Conv2d(channels, channels, 3, padding=1)
        self.fuse = ConvModule(channels * 2, channels, 1, act_cfg=_LEAKY)
        self.attend = ConvModule(channels * 2, channels, 1, act_cfg=_LEAKY)
        self.attend_pooled = ConvModule(channels * 2, channels, 1, act_cfg=_LEAKY)
        self.attend_coarse = ConvModule(channels, channels, 3, padding=1, act_cfg=_LEAKY)
        self.attend_fine = nn.Conv2d(channels, channels, 3, padding=1)
        self.shift = nn.Sequential(
            ConvModule(channels, channels, 1, act_cfg=_LEAKY), nn.Conv2d(channels, channels, 1)
        )

    def init_weights(self) -> None:
        """Begin with a weight of about one half for each frame.

        At the usual scale the sum of products over all channels is large. The sigmoid then
        saturates for one frame or both, and a saturated one learns nothing. At this scale the
        logits of features of unit variance have a standard deviation of ``4 / sqrt(C)``.
        """
        super().init_weights()
        for embed in (self.embed_target, self.embed_frame):
            normal_init(embed, std=0.64 / embed.in_channels)

    def forward(self, frames: Tensor) -> Tensor:
        """Fuse aligned frames.

        Args:
            frames: ``[N, 2, C, h, w]``, the target and the reference aligned to it.

        Returns:
            ``[N, C, h, w]``.
        """
        weighted = frames * self.temporal_weights(frames)[:, :, None]
        weighted = weighted.flatten(1, 2)  # [N, 2C, h, w]
        attention = self._spatial_attention(weighted)
        shift = self.shift(attention)
        return self.fuse(weighted) * attention.sigmoid() * 2 + shift

    def temporal_weights(self, frames: Tensor) -> Tensor:
        """Similarity ``[N, 2, h, w]``, 0 to 1, of the frames ``[N, 2, C, h, w]`` to the target.

        The target is the first frame and is compared with itself too.
        """
        target = self.embed_target(frames[:, 0])
        embedded = self.embed_frame(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        # a sum over all channels: half precision would round it by whole units
        dtype = torch.promote_types(embedded.dtype, torch.float32)
        likeness = (embedded.to(dtype) * target.to(dtype)[:, None]).sum(dim=2)
        return likeness.sigmoid().to(frames.dtype)

    def _spatial_attention(self, weighted: Tensor) -> Tensor:
        """Logits of the mask over positions and channels, ``[N, C, h, w]``."""
        attention = self.attend(weighted)
        pooled = torch.cat(
            (
                F.max_pool2d(attention, 3, stride=2, padding=1),
                F.avg_pool2d(attention, 3, stride=2, padding=1),
            ),
            dim=1,
        )
        coarse = self.attend_coarse(self.attend_pooled(pooled))
        fine = F.interpolate(coarse, size=weighted.shape[-2:], mode='bilinear', align_corners=False)
        return self.attend_fine(fine)
