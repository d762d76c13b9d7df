"""Fuse necks: the features of a frame and of a reference frame, aligned and fused.

Source: VPSNet (Kim et al., "Video Panoptic Segmentation", CVPR 2020), section 3.2. The levels of
the pyramid are gathered in one map. The map of the reference is warped along the optical flow, and
a second time along the residual flow that the features show. Attention fuses both maps, and the
result is added to the levels of the target: :class:`FuseNeck`.

:class:`GatedFuseNeck` is ours. It aligns with the same parts, but fuses every level on its own. A
gate decides for every value how much of the aligned reference replaces the target. The published
neck passes everything through a mean over the levels and a maximum over the cells, which leaves
little to repair a level with.

Deviations: see :mod:`mmext.functional.flow_warping` (``align_corners``),
:mod:`mmext.vpsnet.temporal_spatial_attention` (odd sizes) and
:mod:`mmext.vpsnet.residual_flow` (starts at zero); the refinement starts small.

Shape legend: N frames, C channels, ``h x w`` cells of the finest level, ``H x W`` pixels of the
network input.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType
from mmengine.model import BaseModule, bias_init_with_prob, normal_init
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.functional.flow_warping import resize_flow, warp
from mmext.registry import MODELS


class AlignedFusion(BaseModule):
    """Base of the fuse necks: aligns maps of the reference with the target and attends to both.

    A neck defines three steps. ``gather`` makes the maps to be fused from the levels of a frame;
    the next frame needs nothing else of this one. ``fuse`` makes one map of the target's and the
    reference's. ``scatter`` makes the fused levels.

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

    def forward(
        self,
        levels: Sequence[Tensor],
        gathered: Sequence[Tensor],
        references: Sequence[Tensor],
        flow: Tensor,
    ) -> tuple[Tensor, ...]:
        """Fused levels, of the same shapes.

        Args:
            levels: of the target frames, ``[N, C, h_i, w_i]``, finest first.
            gathered: the maps of the target frames, see :meth:`gather`.
            references: the maps of the reference frames.
            flow: from target to reference, ``[N, 2, H, W]``, (x, y) in pixels of the network input.
        """
        fused = [
            self.fuse(target, self.align(target, reference, flow))
            for target, reference in zip(gathered, references, strict=True)
        ]
        return self.scatter(fused, levels)

    def gather(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The maps to be fused, ``[N, C, h, w]`` each, from the levels of a frame."""
        raise NotImplementedError

    def fuse(self, target: Tensor, aligned: Tensor) -> Tensor:
        """One map from the target's and the aligned reference's, ``[N, C, h, w]`` all."""
        raise NotImplementedError

    def scatter(self, fused: Sequence[Tensor], levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The fused levels ``[N, C, h_i, w_i]``, from the fused maps and the target's levels."""
        raise NotImplementedError

    def align(self, target: Tensor, reference: Tensor, flow: Tensor) -> Tensor:
        """Warp the map of the reference ``[N, C, h, w]`` to where things are in the target.

        Args:
            target: ``[N, C, h, w]``.
            reference: ``[N, C, h, w]``.
            flow: from target to reference, ``[N, 2, H, W]``, (x, y) in pixels of the network input.
        """
        height, width = target.shape[-2:]
        flow = resize_flow(flow, (height, width))
        warped = warp(reference, flow, self.align_corners)
        residual = self.residual_flow(target, warped, flow)
        return warp(warped, residual, self.align_corners)

    def attend(self, target: Tensor, aligned: Tensor) -> Tensor:
        """Attention over both maps: one map, ``[N, C, h, w]`` all."""
        return self.attention(torch.stack((target, aligned), dim=1))


@MODELS.register_module()
class FuseNeck(AlignedFusion):
    """The paper's neck: one map of all levels is fused and added to each.

    Args:
        channels: C of every level.
        **kwargs: as of :class:`AlignedFusion`.
    """

    def __init__(self, channels: int = 256, **kwargs: Any) -> None:
        super().__init__(channels, **kwargs)
        self.refine = ConvModule(channels, channels, 3, padding=1)

    def init_weights(self) -> None:
        """Begin near the image model: what is added to the levels is small at first."""
        super().init_weights()
        normal_init(self.refine.conv, std=0.01)

    def gather(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One map ``[N, C, h, w]``: the mean of all levels at the size of the finest."""
        size = levels[0].shape[-2:]
        gathered = levels[0]
        for level in levels[1:]:
            gathered = gathered + F.interpolate(level, size=size, mode='nearest')
        return (gathered / len(levels),)

    def fuse(self, target: Tensor, aligned: Tensor) -> Tensor:
        """The map ``[N, C, h, w]`` that is added to the levels."""
        return self.refine(self.attend(target, aligned))

    def scatter(self, fused: Sequence[Tensor], levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The levels ``[N, C, h_i, w_i]`` plus the fused map, max-pooled to the size of each."""
        (added,) = fused
        return tuple(level + F.adaptive_max_pool2d(added, level.shape[-2:]) for level in levels)


@MODELS.register_module()
class GatedFuseNeck(AlignedFusion):
    """Every level on its own: ``level + gate * (aligned reference - level)``, one gate per value.

    Not of the paper. The parts have the same weights on all levels. It remembers the whole pyramid
    of a frame, 4/3 of what :class:`FuseNeck` does.

    Args:
        channels: C of every level.
        **kwargs: as of :class:`AlignedFusion`.
    """

    def __init__(self, channels: int = 256, **kwargs: Any) -> None:
        super().__init__(channels, **kwargs)
        self.gate = nn.Conv2d(channels, channels, 3, padding=1)

    def init_weights(self) -> None:
        """Begin near the image model: the gate takes an eighth of the reference."""
        super().init_weights()
        normal_init(self.gate, std=0.01, bias=bias_init_with_prob(1 / 8))

    def gather(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The levels ``[N, C, h_i, w_i]`` as they are."""
        return tuple(levels)

    def fuse(self, target: Tensor, aligned: Tensor) -> Tensor:
        """Values ``[N, C, h, w]`` between target and aligned reference, as the gate decides."""
        gate = self.gate(self.attend(target, aligned)).sigmoid()
        return torch.lerp(target, aligned, gate.to(target.dtype))

    def scatter(self, fused: Sequence[Tensor], levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The fused levels ``[N, C, h_i, w_i]`` as they are."""
        return tuple(fused)
