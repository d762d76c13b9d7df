"""Necks that bring a backbone's features back to stride 4, for objects as points.

Zhou et al., "Objects as Points", 2019, section 5 and figure 6: a ResNet's last map
goes up through deformable and transposed convolutions, the stages of DLA-34 are
merged step by step through deformable ones.

With ``conv_cfg=None`` plain 3x3 convolutions stand in for the deformable ones: such a
model exports to any runtime.

Shapes: B images, ``h x w`` cells of the coarsest map.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_conv_layer, build_norm_layer
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.centernet.dla import BATCH_NORM
from mmext.registry import MODELS

DEFORMABLE: ConfigType = dict(type='mmext.ModulatedDeformConv2dPack')


@MODELS.register_module()
class CenterNetDeconvNeck(BaseModule):
    """Three times a 3x3 (deformable) convolution and an up-sampling one.

    Args:
        in_channels: of the last feature map.
        out_channels: after each step, which doubles the resolution.
        conv_cfg: of the 3x3 convolutions; None: plain ones.
        norm_cfg: of every normalization.
        init_cfg: as for every mmengine module.
    """

    def __init__(
        self,
        in_channels: int = 512,
        out_channels: Sequence[int] = (256, 128, 64),
        conv_cfg: OptConfigType = DEFORMABLE,
        norm_cfg: ConfigType = BATCH_NORM,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.steps = nn.ModuleList()
        for width_in, width in zip([in_channels, *out_channels], out_channels, strict=False):
            convolution = _convolution(width_in, width, conv_cfg, norm_cfg)
            upsampling = ConvModule(
                width, width, 4, 2, 1, conv_cfg=dict(type='deconv'), norm_cfg=norm_cfg
            )
            self.steps.append(nn.Sequential(OrderedDict(conv=convolution, up=upsampling)))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """One map ``[B, out_channels, 8h, 8w]`` from the last map ``[B, in_channels, h, w]``."""
        x = features[-1]
        for step in self.steps:
            x = step(x)
        return (x,)


@MODELS.register_module()
class DLAUpNeck(BaseModule):
    """Merges the stages of DLA, coarse into fine, until one map at the finest is left.

    Iterative deep aggregation (Yu et al. 2018, section 3.1; Zhou et al. 2019, figure
    6): first each stage is merged into all finer ones, round by round, then the
    results of the rounds into each other.

    Args:
        in_channels: of the feature maps, finest first, each of half the resolution.
        num_merged: results that the last step merges, finest first.
        conv_cfg: of the 3x3 convolutions; None: plain ones.
        norm_cfg: of every normalization.
        init_cfg: as for every mmengine module.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 128, 256, 512),
        num_merged: int = 3,
        conv_cfg: OptConfigType = DEFORMABLE,
        norm_cfg: ConfigType = BATCH_NORM,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        widths = list(in_channels)
        self.rounds = nn.ModuleList()
        for finest in range(len(widths) - 2, -1, -1):
            below = widths[finest + 1 :]
            self.rounds.append(
                _Aggregation(widths[finest], below, [2] * len(below), conv_cfg, norm_cfg)
            )
            widths[finest + 1 :] = [widths[finest]] * len(below)
        merged = list(in_channels)[1:num_merged]
        factors = [2**i for i in range(1, num_merged)]
        self.merge = _Aggregation(in_channels[0], merged, factors, conv_cfg, norm_cfg)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """One map ``[B, C_0, H, W]`` of the finest size from maps ``[B, C_i, H_i, W_i]``."""
        levels = list(features)
        results: list[Tensor] = []
        for finest, aggregation in zip(range(len(levels) - 2, -1, -1), self.rounds, strict=True):
            levels[finest + 1 :] = aggregation(levels[finest], levels[finest + 1 :])
            results.insert(0, levels[-1])
        return (self.merge(results[0], results[1 : len(self.merge.ups) + 1])[-1],)


class _Aggregation(nn.Module):
    """Maps, each brought to the finest one's form and merged with the one before.

    Args:
        channels: of the finest map and of all results.
        in_channels: of the other maps.
        factors: by which each is coarser than the finest.
        conv_cfg: of the 3x3 convolutions.
        norm_cfg: of every normalization.
    """

    def __init__(
        self,
        channels: int,
        in_channels: Sequence[int],
        factors: Sequence[int],
        conv_cfg: OptConfigType,
        norm_cfg: ConfigType,
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            _convolution(width, channels, conv_cfg, norm_cfg) for width in in_channels
        )
        self.ups = nn.ModuleList(_bilinear_upsampling(channels, factor) for factor in factors)
        self.nodes = nn.ModuleList(
            _convolution(channels, channels, conv_cfg, norm_cfg) for _ in in_channels
        )

    def forward(self, finest: Tensor, others: Sequence[Tensor]) -> list[Tensor]:
        """``[B, C, H, W]`` and coarser maps -> as many maps ``[B, C, H, W]`` as ``others``."""
        merged, previous = [], finest
        for other, project, up, node in zip(
            others, self.projections, self.ups, self.nodes, strict=True
        ):
            previous = node(up(project(other)) + previous)
            merged.append(previous)
        return merged


def _convolution(
    in_channels: int, out_channels: int, conv_cfg: OptConfigType, norm_cfg: ConfigType
) -> nn.Sequential:
    """3x3 convolution, normalization, ReLU; with the bias that the released weights have."""
    return nn.Sequential(
        build_conv_layer(conv_cfg, in_channels, out_channels, 3, padding=1, bias=True),
        build_norm_layer(norm_cfg, out_channels)[1],
        nn.ReLU(inplace=True),
    )


def _bilinear_upsampling(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Learned interpolation of each channel by itself, bilinear at the start."""
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias=False
    )
    distances = (torch.arange(2 * factor) + 0.5) / factor - 1
    profile = 1 - distances.abs()
    layer.weight.data.copy_(profile[:, None] * profile)
    return layer
