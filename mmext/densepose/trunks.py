"""What looks at a region before the surface is read off: convolutions, DeepLab's, an hourglass.

Güler et al., "DensePose", CVPR 2018 (eight convolutions); Chen et al., "Rethinking Atrous
Convolution", arXiv 1706.05587 (ASPP); Wang et al., "Non-local Neural Networks", CVPR 2018: numbers
are those of detectron2's project. Newell et al., "Stacked Hourglass Networks", ECCV 2016.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from mmcv.cnn import build_norm_layer
from mmdet.utils import ConfigType
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.registry import MODELS

_GROUPS = 32
_GROUP_NORM = dict(type='GN', num_groups=_GROUPS)


@MODELS.register_module()
class SurfaceConvTrunk(BaseModule):
    """Convolutions 3 x 3 with ReLU (detectron2's V1ConvX).

    Args:
        in_channels: of the regions.
        channels: of each convolution.
        num_convs: how many.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        in_channels: int = 256,
        channels: int = 512,
        num_convs: int = 8,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check(type(self).__name__, in_channels, channels, num_convs)
        self.out_channels = channels
        self.convs = nn.ModuleList(
            nn.Conv2d(channels if number else in_channels, channels, 3, padding=1)
            for number in range(num_convs)
        )
        for conv in self.convs:
            nn.init.kaiming_normal_(cast(Tensor, conv.weight), mode='fan_out', nonlinearity='relu')
            nn.init.zeros_(cast(Tensor, conv.bias))

    def forward(self, regions: Tensor) -> Tensor:
        """``[R, in_channels, s, s]`` -> ``[R, channels, s, s]``."""
        for conv in self.convs:
            regions = F.relu(conv(regions))
        return regions


@MODELS.register_module()
class SurfaceDeepLabTrunk(BaseModule):
    """Views of several widths (ASPP), then convolutions with GroupNorm (detectron2's DL models).

    Args:
        in_channels: of the regions, a multiple of the groups.
        channels: of each convolution, a multiple of the groups.
        num_convs: how many.
        dilations: of the views.
        non_local: whether a non-local block follows the views.
        num_groups: of the norms.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        in_channels: int = 256,
        channels: int = 512,
        num_convs: int = 8,
        dilations: tuple[int, ...] = (6, 12, 56),
        non_local: bool = False,
        num_groups: int = _GROUPS,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check(type(self).__name__, in_channels, channels, num_convs)
        self.out_channels = channels
        self.aspp = _Views(in_channels, tuple(dilations), num_groups)
        self.non_local = _NonLocal(in_channels, num_groups) if non_local else nn.Identity()
        norm = dict(type='GN', num_groups=num_groups)
        blocks = [
            _block(channels if number else in_channels, channels, 3, norm)
            for number in range(num_convs)
        ]
        self.convs = nn.ModuleList(blocks)
        for block in blocks:
            nn.init.kaiming_normal_(
                cast(Tensor, block[0].weight), mode='fan_out', nonlinearity='relu'
            )

    def forward(self, regions: Tensor) -> Tensor:
        """``[R, in_channels, s, s]`` -> ``[R, channels, s, s]``."""
        regions = self.non_local(self.aspp(regions))
        for block in self.convs:
            regions = block(regions)
        return regions


@MODELS.register_module()
class SurfaceHourglassTrunk(BaseModule):
    """From fine to coarse and back, with norms: the coarsest cells see all of the region.

    At each resolution convolutions 3 x 3, the first of stride 2 but at the finest; on the way back
    the coarser map, projected and enlarged by bilinear interpolation, is added.

    Args:
        in_channels: of the regions; 3 for pixels.
        channels: at each resolution, from the finest on.
        stem_channels: of two convolutions before these, the first of stride 2; then the finest of
            the resolutions, too, begins with stride 2, a quarter of the pixels' sides. None: the
            finest resolution is that of the regions.
        norm_cfg: of the norms; their numbers of channels are ``channels`` and ``stem_channels``.
        init_cfg: of mmengine.

    Raises:
        InputError: there are no channels.
    """

    def __init__(
        self,
        in_channels: int = 256,
        channels: Sequence[int] = (256, 512, 512),
        stem_channels: int | None = None,
        norm_cfg: ConfigType | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        stem = () if stem_channels is None else (stem_channels, stem_channels)
        if not channels or min(in_channels, *channels, *stem) < 1:
            raise InputError(
                f'{type(self).__name__}: expected channels from 1 at one resolution or more, got '
                f'in_channels {in_channels}, channels {tuple(channels)}, stem_channels '
                f'{stem_channels}'
            )
        self.out_channels = channels[0]
        norm = norm_cfg or _GROUP_NORM
        widths = (in_channels, *stem)
        self.stem = nn.Sequential(
            *(
                _block(before, after, 3, norm, stride=1 if number else 2)
                for number, (before, after) in enumerate(pairwise(widths))
            )
        )
        before = (widths[-1], *channels)
        self.down = nn.ModuleList(
            nn.Sequential(
                _block(before[level], width, 3, norm, stride=2 if level or stem else 1),
                *(_block(width, width, 3, norm) for _ in range(2 if level else bool(stem))),
            )
            for level, width in enumerate(channels)
        )
        self.project = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(channels)
        )
        self.up = nn.ModuleList(_block(width, width, 3, norm) for width in channels[:-1])

    def forward(self, regions: Tensor) -> Tensor:
        """``[R, in_channels, s, s]`` -> ``[R, channels[0], s, s]``, with a stem ``s / 4``."""
        regions = self.stem(regions)
        found = []
        for blocks in self.down:
            regions = blocks(regions)
            found.append(regions)
        merged = found.pop()
        for project, block in zip(reversed(self.project), reversed(self.up), strict=True):
            fine = found.pop()
            coarse = F.interpolate(project(merged), fine.shape[2:], mode='bilinear')
            merged = block(fine + coarse)
        return merged


class _Views(nn.Module):
    """ASPP: 1 x 1, dilated 3 x 3 and the mean, side by side; then 1 x 1 and ReLU without norm."""

    def __init__(self, channels: int, dilations: tuple[int, ...], num_groups: int) -> None:
        super().__init__()
        norm = dict(type='GN', num_groups=num_groups)
        self.views = nn.ModuleList(
            [
                _block(channels, channels, 1, norm),
                *(_block(channels, channels, 3, norm, step) for step in dilations),
            ]
        )
        self.mean = _block(channels, channels, 1, norm)
        self.project = nn.Conv2d((2 + len(dilations)) * channels, channels, 1, bias=False)

    def forward(self, regions: Tensor) -> Tensor:
        mean = self.mean(regions.mean((2, 3), keepdim=True)).expand_as(regions)
        merged = torch.cat([*(view(regions) for view in self.views), mean], dim=1)
        return F.relu(self.project(merged))


class _NonLocal(nn.Module):
    """What each cell adds from all others that resemble it."""

    def __init__(self, channels: int, num_groups: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta, self.phi, self.g = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv2d(inner, channels, 1)
        self.norm = nn.GroupNorm(num_groups, channels)
        nn.init.zeros_(self.norm.weight)  # it begins as nothing

    def forward(self, regions: Tensor) -> Tensor:
        asked = self.theta(regions).flatten(2)  # [R, inner, s s]
        keys, values = (F.max_pool2d(part(regions), 2).flatten(2) for part in (self.phi, self.g))
        alike = (asked.mT @ keys).softmax(-1)
        added = (values @ alike.mT).view(asked.shape[0], -1, *regions.shape[2:])
        found: Tensor = regions + self.norm(self.out(added))
        return found


def _block(
    before: int,
    after: int,
    kernel: int,
    norm: ConfigType,
    dilation: int = 1,
    stride: int = 1,
) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(before, after, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, build_norm_layer(norm, after)[1], nn.ReLU(inplace=True))


def _check(name: str, *numbers: int) -> None:
    if min(numbers) < 1:
        raise InputError(
            f'{name}: expected in_channels, channels and num_convs from 1, got '
            + ', '.join(map(str, numbers))
        )
