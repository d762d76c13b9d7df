"""Networks that make a picture larger.

:class:`SRResNet` is that of Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a
Generative Adversarial Network", CVPR 2017. :class:`ResidualUpscaler` is its form without
normalization (Wang et al., "ESRGAN", ECCV workshops 2018, as the baseline there): it adds to the
picture that bilinear interpolation makes larger, so that it begins at that and learns in minutes.

Shape legend: N pictures, ``C`` channels, s the scale.
"""

import math

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS


class _BlockWithNorm(nn.Module):
    """Two convolutions, each with BatchNorm, and a skip; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, h, w]`` both."""
        y = self.prelu(self.bn1(self.conv1(x)))
        return x + self.bn2(self.conv2(y))


class _PlainBlock(nn.Module):
    """Two convolutions and a skip, without normalization."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, h, w]`` both."""
        return x + self.conv2(functional.relu(self.conv1(x)))


class _ShuffleUp(nn.Module):
    """A convolution whose channels become twice the height and width; PReLU in the first form."""

    def __init__(self, channels: int, activates: bool) -> None:
        super().__init__()
        self.upsample_conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.prelu = nn.PReLU() if activates else None

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, h, w]`` to ``[N, C, 2h, 2w]``."""
        y = functional.pixel_shuffle(self.upsample_conv(x), 2)
        return y if self.prelu is None else self.prelu(y)


@MODELS.register_module()
class SRResNet(BaseModule):
    """The generator of SRGAN: BatchNorm, PReLU, a first and a last convolution of 9 x 9.

    Args:
        in_channels: of both pictures.
        channels: inside.
        num_blocks: 16 in the paper.
        scale: 2, 4 or 8.
        init_cfg: of mmengine.

    Raises:
        InputError: another scale.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 64,
        num_blocks: int = 16,
        scale: int = 4,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.scale = scale
        self.first = nn.Conv2d(in_channels, channels, 9, padding=4)
        self.prelu = nn.PReLU()
        self.blocks = nn.Sequential(*[_BlockWithNorm(channels) for _ in range(num_blocks)])
        self.trunk_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.trunk_norm = nn.BatchNorm2d(channels)
        doublings = range(_doublings('SRResNet', scale))
        self.upsample = nn.Sequential(*[_ShuffleUp(channels, True) for _ in doublings])
        self.last = nn.Conv2d(channels, in_channels, 9, padding=4)

    def forward(self, low: Tensor) -> Tensor:
        """``[N, C, h, w]`` to ``[N, C, s h, s w]``, both in [-1, 1]."""
        x = self.prelu(self.first(low))
        y = self.trunk_norm(self.trunk_conv(self.blocks(x)))
        return self.last(self.upsample(x + y)).tanh()


@MODELS.register_module()
class ResidualUpscaler(BaseModule):
    """SRResNet without BatchNorm that adds to the bilinear picture; any values come out.

    The last convolution begins at zero, so that the untrained network is bilinear interpolation.
    Names of the weights are those of mmagic's ``MSRResNet``, whose pictures are in [0, 1]: its
    checkpoints load, with ``unit_range=True``.

    Args:
        in_channels: of both pictures.
        channels: inside.
        num_blocks: 16 in the paper.
        scale: 2, 4 or 8.
        unit_range: the weights are for pictures in [0, 1]; those of the caller are in [-1, 1].
        init_cfg: of mmengine.

    Raises:
        InputError: another scale.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 64,
        num_blocks: int = 16,
        scale: int = 4,
        unit_range: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.scale, self.unit_range = scale, unit_range
        self.doublings = _doublings('ResidualUpscaler', scale)
        self.conv_first = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.trunk_net = nn.Sequential(*[_PlainBlock(channels) for _ in range(num_blocks)])
        for number in range(self.doublings):
            self.add_module(f'upsample{number + 1}', _ShuffleUp(channels, False))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, in_channels, 3, padding=1)
        self._draw()

    def _draw(self) -> None:
        """He's weights, of blocks a tenth of it: their sum stays as large as one of them."""
        with torch.no_grad():
            for name, module in self.named_modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight)
                    module.weight *= 0.1 if name.startswith('trunk_net') else 1.0
                    nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            nn.init.zeros_(self.conv_last.weight)

    def forward(self, low: Tensor) -> Tensor:
        """``[N, C, h, w]`` to ``[N, C, s h, s w]``, both in [-1, 1] (not clipped)."""
        low = (low + 1) / 2 if self.unit_range else low
        x = functional.leaky_relu(self.conv_first(low), 0.1)
        x = self.trunk_net(x)
        for number in range(self.doublings):
            x = functional.leaky_relu(self.get_submodule(f'upsample{number + 1}')(x), 0.1)
        x = self.conv_last(functional.leaky_relu(self.conv_hr(x), 0.1))
        high = x + functional.interpolate(
            low, scale_factor=self.scale, mode='bilinear', align_corners=False
        )
        return 2 * high - 1 if self.unit_range else high


def _doublings(name: str, scale: int) -> int:
    """How often the size is doubled."""
    if scale not in (2, 4, 8):
        raise InputError(f'{name}: scale {scale}; it can be 2, 4 or 8')
    return int(math.log2(scale))
