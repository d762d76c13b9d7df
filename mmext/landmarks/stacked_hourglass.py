"""The stacked hourglass of Newell, and FAN, as one network with two kinds of blocks.

Newell et al., "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016; Bulat and
Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV 2017 (FAN).

Not the hourglass of CornerNet, mmdet and :mod:`mmext.layers.hourglass`: that one has strides in the
place of pooling, widths that grow with depth, and residuals that end in an activation.

Shapes: N crops, C channels, K points, ``H x W`` pixels. Maps have a quarter of the sides.
"""

from typing import cast

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.registry import MODELS


class BottleneckBlock(nn.Module):
    """Newell's residual: a normalization before each of three convolutions, the middle one 3x3.

    Args:
        in_channels: of the input.
        out_channels: of the output; if another, a 1x1 convolution takes the identity's place.
    """

    # mmcv's protocol: the norm that has the output of each convolution, for fast copies
    norm1_name, norm2_name = 'bn2', 'bn3'

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        middle = out_channels // 2
        self.bn1, self.conv1 = nn.BatchNorm2d(in_channels), nn.Conv2d(in_channels, middle, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(middle), nn.Conv2d(middle, middle, 3, padding=1)
        self.bn3, self.conv3 = nn.BatchNorm2d(middle), nn.Conv2d(middle, out_channels, 1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, features: Tensor) -> Tensor:
        """``[N, C_in, H, W]`` -> ``[N, C_out, H, W]``."""
        out = self.conv1(F.relu(self.bn1(features)))
        out = self.conv2(F.relu(self.bn2(out)))
        out = self.conv3(F.relu(self.bn3(out)))
        return cast(Tensor, out + (features if self.skip is None else self.skip(features)))


class ConcatBlock(nn.Module):
    """FAN's residual: three 3x3 convolutions in a row, whose outputs lie side by side.

    Args:
        in_channels: of the input.
        out_channels: of the output; if another, a normalized 1x1 convolution takes the identity's
            place.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half, quarter = out_channels // 2, out_channels // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(in_channels), _conv3x3(in_channels, half)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), _conv3x3(half, quarter)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), _conv3x3(quarter, quarter)
        self.skip = None
        if in_channels != out_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.skip = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(), conv)

    def forward(self, features: Tensor) -> Tensor:
        """``[N, C_in, H, W]`` -> ``[N, C_out, H, W]``."""
        first = self.conv1(F.relu(self.bn1(features)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        joined = torch.cat((first, second, third), dim=1)
        return joined + (features if self.skip is None else self.skip(features))


_KINDS = {
    'bottleneck': (BottleneckBlock, nn.MaxPool2d),
    'concat': (ConcatBlock, nn.AvgPool2d),
}


class Hourglass(nn.Module):
    """Blocks at several resolutions, whose outputs are added on the way up.

    Args:
        depth: how often the map is halved.
        channels: C.
        kind: of the blocks.
        num_blocks: blocks at each place.
    """

    def __init__(self, depth: int, channels: int, kind: str, num_blocks: int) -> None:
        super().__init__()
        _, pool = _KINDS[kind]
        self.up = _blocks(channels, kind, num_blocks)
        self.pool = pool(2)
        self.low1 = _blocks(channels, kind, num_blocks)
        self.low2 = (
            Hourglass(depth - 1, channels, kind, num_blocks)
            if depth > 1
            else _blocks(channels, kind, num_blocks)
        )
        self.low3 = _blocks(channels, kind, num_blocks)

    def forward(self, features: Tensor) -> Tensor:
        """``[N, C, H, W]`` -> the same; both sides are divisible by 2 to the depth."""
        low = self.low3(self.low2(self.low1(self.pool(features))))
        return cast(Tensor, self.up(features) + F.interpolate(low, scale_factor=2.0))


class _Stack(nn.Module):
    """An hourglass, its maps, and what the next hourglass sees of both."""

    def __init__(
        self, hourglass: Hourglass, channels: int, num_points: int, kind: str, num_blocks: int
    ) -> None:
        super().__init__()
        self.hourglass = hourglass
        self.blocks = _blocks(channels, kind, num_blocks)
        self.conv, self.bn = nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels)
        self.score = nn.Conv2d(channels, num_points, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = F.relu(self.bn(self.conv(self.blocks(self.hourglass(features)))))
        return features, self.score(features)


class _Merge(nn.Module):
    """What is added to the input of the next stack; the last stack has none."""

    def __init__(self, channels: int, num_points: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels, channels, 1)
        self.maps = nn.Conv2d(num_points, channels, 1)

    def forward(self, before: Tensor, features: Tensor, maps: Tensor) -> Tensor:
        return cast(Tensor, before + self.features(features) + self.maps(maps))


@MODELS.register_module()
class StackedHourglass(BaseModule):
    """From crops to the heat-maps of each stack; a backbone whose maps are its output.

    The head is ``dict(type='mmext.HeatmapHead', in_channels=None)``, which supervises every stack.

    Args:
        num_points: K.
        num_stacks: hourglasses in a row.
        block: ``'bottleneck'`` is Newell's, with max-pooling; ``'concat'`` FAN's, with averages.
        channels: C, divisible by 4.
        depth: how often an hourglass halves its map.
        num_blocks: residuals at each place.
        stem_channels: of the first convolution, and of the two blocks after it. pytorch-pose has
            ``(64, 128, 256)``.
        init_cfg: of mmengine.

    Raises:
        InputError: an unknown block, or a number that is too small or not divisible.
    """

    def __init__(
        self,
        num_points: int,
        num_stacks: int = 8,
        block: str = 'bottleneck',
        channels: int = 256,
        depth: int = 4,
        num_blocks: int = 1,
        stem_channels: tuple[int, int, int] = (64, 128, 128),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if block not in _KINDS:
            raise InputError(f'block: expected one of {tuple(_KINDS)}, got {block!r}')
        if min(num_points, num_stacks, depth, num_blocks) < 1 or channels % 4:
            raise InputError(
                'expected num_points, num_stacks, depth and num_blocks from 1 and channels '
                f'divisible by 4, got {num_points}, {num_stacks}, {depth}, {num_blocks}, {channels}'
            )
        kind, pool = _KINDS[block]
        first, second, third = stem_channels
        self.divisor = 4 * 2**depth
        self.conv = nn.Conv2d(3, first, 7, stride=2, padding=3)
        self.bn = nn.BatchNorm2d(first)
        self.block1, self.pool = kind(first, second), pool(2)
        self.block2, self.block3 = kind(second, third), kind(third, channels)
        self.stacks = nn.ModuleList(
            _Stack(
                Hourglass(depth, channels, block, num_blocks),
                channels,
                num_points,
                block,
                num_blocks,
            )
            for _ in range(num_stacks)
        )
        self.merges = nn.ModuleList(_Merge(channels, num_points) for _ in range(num_stacks - 1))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of each stack.

        Args:
            images: ``[N, 3, H, W]``.

        Returns:
            ``[N, K, H / 4, W / 4]`` of each stack, linear; the last one's are the answer.

        Raises:
            InputError: sides that cannot be halved so often.
        """
        if images.shape[2] % self.divisor or images.shape[3] % self.divisor:
            raise InputError(
                f'input_size: expected sides divisible by {self.divisor}, got '
                f'{images.shape[3]} x {images.shape[2]} (width x height)'
            )
        features = self.pool(self.block1(F.relu(self.bn(self.conv(images)))))
        features = self.block3(self.block2(features))
        outputs = []
        for number, stack in enumerate(self.stacks):
            seen, maps = stack(features)
            outputs.append(maps)
            if number < len(self.merges):
                features = self.merges[number](features, seen, maps)
        return tuple(outputs)


def _conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


def _blocks(channels: int, kind: str, count: int) -> nn.Sequential:
    block, _ = _KINDS[kind]
    return nn.Sequential(*(block(channels, channels) for _ in range(count)))
