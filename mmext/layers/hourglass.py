"""The stacked hourglass of mmdet, with what it leaves undone.

Newell et al., "Stacked Hourglass Networks", 2016, as CornerNet and both CenterNets use it:
52 layers are one stack, 104 layers two.
"""

from collections.abc import Sequence
from typing import cast

import torch
from mmdet.models.backbones.hourglass import HourglassModule
from mmdet.models.backbones.hourglass import HourglassNet as HostHourglassNet
from mmdet.models.layers import ResLayer
from mmdet.utils import ConfigType
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmext.errors import InputError
from mmext.registry import MODELS

DEFAULT_NORM = dict(type='BN', requires_grad=True)


@MODELS.register_module()
class HourglassNet(HostHourglassNet):
    """mmdet's HourglassNet: the same function and parameter names, three faults less.

    ``norm_cfg`` reaches every normalization (the host's hourglasses are BatchNorm
    whatever it says); one stack has no residual between stacks, whose parameters would
    never get a gradient (DistributedDataParallel refuses those); activations can be
    computed again in the backward pass instead of being kept.

    Args:
        downsample_times: how often an hourglass halves the map.
        num_stacks: hourglasses in a row.
        stage_channels: width at each resolution, one more than ``downsample_times``.
        stage_blocks: residuals at each resolution.
        feat_channel: width of the outputs.
        norm_cfg: of every normalization.
        with_cp: keep no activation inside the hourglasses' residuals (less memory, about
            a third more time; BatchNorm sees each batch twice).
    """

    def __init__(
        self,
        downsample_times: int = 5,
        num_stacks: int = 2,
        stage_channels: Sequence[int] = (256, 256, 384, 384, 384, 512),
        stage_blocks: Sequence[int] = (2, 2, 2, 2, 2, 4),
        feat_channel: int = 256,
        norm_cfg: ConfigType = DEFAULT_NORM,
        with_cp: bool = False,
    ) -> None:
        if not len(stage_channels) == len(stage_blocks) > downsample_times:
            raise InputError(
                'stage_channels and stage_blocks: expected equal lengths above downsample_times='
                f'{downsample_times}, got {len(stage_channels)} and {len(stage_blocks)}'
            )
        super().__init__(
            downsample_times, num_stacks, stage_channels, stage_blocks, feat_channel, norm_cfg
        )
        self.hourglass_modules = nn.ModuleList(
            _hourglass(downsample_times, stage_channels, stage_blocks, norm_cfg, with_cp)
            for _ in range(num_stacks)
        )
        if num_stacks == 1:
            self.inters = nn.Sequential()


class _CheckpointedLayers(nn.Sequential):
    """Residuals whose activations are computed again in the backward pass."""

    def forward(self, features: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return cast(Tensor, super().forward(features))
        return cast(Tensor, checkpoint(super().forward, features, use_reentrant=False))


def _hourglass(
    depth: int,
    channels: Sequence[int],
    blocks: Sequence[int],
    norm_cfg: ConfigType,
    with_cp: bool,
) -> HourglassModule:
    """An hourglass whose inner hourglasses are built with the same arguments."""
    hourglass = HourglassModule(depth, channels, blocks, norm_cfg)
    if depth > 1:
        hourglass.low2 = _hourglass(depth - 1, channels[1:], blocks[1:], norm_cfg, with_cp)
    if with_cp:
        for name, layers in hourglass.named_children():
            if isinstance(layers, ResLayer):
                setattr(hourglass, name, _CheckpointedLayers(*layers))
    return hourglass
