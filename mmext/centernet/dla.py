"""Deep layer aggregation: the backbone that carried the results of objects as points.

Yu et al., "Deep Layer Aggregation", CVPR 2018, figures 2e and 3, table 1 (DLA-34).
Each stage is a tree: pairs of residual blocks whose outputs are joined by a 1x1
convolution, the *root*; deeper roots see the outputs of the trees before them.

timm has the same network; it cannot be imported without torchvision, which no build
of this torch works with, and it computes projections that never reach an output.

Shapes: B images, ``H x W`` pixels; stage ``i`` has stride ``2^i``.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.registry import MODELS

BATCH_NORM: ConfigType = dict(type='BN')


@MODELS.register_module()
class DLA(BaseModule):
    """Deep layer aggregation of basic blocks; the defaults are DLA-34.

    Args:
        depths: of the trees of stages 2 and up; a tree of depth d has 2^d blocks.
        widths: channels of all stages; the first two are plain convolutions.
        out_indices: stages to return, 0 to 5.
        norm_cfg: of every normalization.
        init_cfg: as for every mmengine module.

    Raises:
        InputError: lengths that do not fit, or an unknown stage.
    """

    def __init__(
        self,
        depths: Sequence[int] = (1, 2, 2, 1),
        widths: Sequence[int] = (16, 32, 64, 128, 256, 512),
        out_indices: Sequence[int] = (2, 3, 4, 5),
        norm_cfg: ConfigType = BATCH_NORM,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if len(widths) != len(depths) + 2:
            raise InputError(f'widths: expected {len(depths) + 2} as depths + 2, got {len(widths)}')
        if not set(out_indices) <= set(range(len(widths))):
            raise InputError(
                f'out_indices: expected 0 to {len(widths) - 1}, got {list(out_indices)}'
            )
        self.out_indices = tuple(out_indices)
        self.base_layer = ConvModule(3, widths[0], 7, padding=3, norm_cfg=norm_cfg)
        self.level0 = ConvModule(widths[0], widths[0], 3, padding=1, norm_cfg=norm_cfg)
        self.level1 = ConvModule(widths[0], widths[1], 3, 2, 1, norm_cfg=norm_cfg)
        for stage, depth in enumerate(depths, start=2):
            tree = _Tree(
                depth, widths[stage - 1], widths[stage], 2, norm_cfg, joins_input=stage > 2
            )
            self.add_module(f'level{stage}', tree)
        self.num_stages = len(widths)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``[B, 3, H, W]`` -> the stages of ``out_indices``, ``[B, C_i, H/2^i, W/2^i]``."""
        outputs = []
        x = self.base_layer(images)
        for stage in range(max(self.out_indices) + 1):
            x = getattr(self, f'level{stage}')(x)
            if stage in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


class _Block(nn.Module):
    """Two convolutions; the shortcut comes from outside, as trees share it."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, norm_cfg: ConfigType
    ) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, out_channels, 3, stride, 1, norm_cfg=norm_cfg)
        self.conv2 = ConvModule(
            out_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None
        )

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        return F.relu(self.conv2(self.conv1(x)) + shortcut)


class _Tree(nn.Module):
    """Two blocks, or two trees, and a root that joins them.

    Args:
        depth: 1 is two blocks.
        in_channels: of the input.
        out_channels: of everything else.
        stride: 1 or 2.
        norm_cfg: of every normalization.
        joins_input: whether the (downsampled) input goes to the root too.
        inherited: channels that come from the trees before.
    """

    def __init__(
        self,
        depth: int,
        in_channels: int,
        out_channels: int,
        stride: int,
        norm_cfg: ConfigType,
        joins_input: bool = False,
        inherited: int = 0,
    ) -> None:
        super().__init__()
        self.stride, self.joins_input, self.is_leaf = stride, joins_input, depth == 1
        inherited += in_channels if joins_input else 0
        if self.is_leaf:
            self.tree1: nn.Module = _Block(in_channels, out_channels, stride, norm_cfg)
            self.tree2: nn.Module = _Block(out_channels, out_channels, 1, norm_cfg)
            self.project = (
                nn.Identity()
                if in_channels == out_channels
                else ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)
            )
            self.root = ConvModule(2 * out_channels + inherited, out_channels, 1, norm_cfg=norm_cfg)
        else:
            self.tree1 = _Tree(depth - 1, in_channels, out_channels, stride, norm_cfg)
            self.tree2 = _Tree(
                depth - 1, out_channels, out_channels, 1, norm_cfg, False, inherited + out_channels
            )

    def forward(self, x: Tensor, earlier: tuple[Tensor, ...] = ()) -> Tensor:
        """``earlier`` are the outputs that the root joins beside its own two."""
        if self.is_leaf or self.joins_input:
            bottom = F.max_pool2d(x, self.stride) if self.stride > 1 else x
            earlier = (*earlier, bottom) if self.joins_input else earlier
        if not self.is_leaf:
            first = self.tree1(x)
            return self.tree2(first, (*earlier, first))
        first = self.tree1(x, self.project(bottom))
        second = self.tree2(first, first)
        return self.root(torch.cat([second, first, *earlier], 1))
