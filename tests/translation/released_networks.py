"""Networks of pix2pix and CycleGAN as their papers describe them, with the names of the releases.

Built of plain torch, from tables of layers: nothing of the package is used.
"""

from typing import Any

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """A residual block of CycleGAN; the layer at place 1 is a convolution, at 5 or 6 the other."""

    def __init__(self, channels: int, dropout: bool) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3)]
        drop = [nn.Dropout(0.5)] if dropout else []
        norms = [nn.InstanceNorm2d(channels) for _ in range(2)]
        self.conv_block = nn.Sequential(*first, norms[0], nn.ReLU(), *drop, *second, norms[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class ResnetGenerator(nn.Module):
    """The residual generator of CycleGAN."""

    def __init__(self, width: int, blocks: int, dropout: bool = False) -> None:
        super().__init__()
        layers: list[Any] = [nn.ReflectionPad2d(3), *conv(3, width, 7)]
        for low in (width, 2 * width):
            layers += conv(low, 2 * low, 3, stride=2, padding=1)
        layers += [Block(4 * width, dropout) for _ in range(blocks)]
        for high in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(high, high // 2, 3, 2, padding=1, output_padding=1)
            layers += [up, nn.InstanceNorm2d(high // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def conv(low: int, high: int, size: int, **options: Any) -> list[nn.Module]:
    """Convolution, norm, ReLU."""
    return [nn.Conv2d(low, high, size, **options), nn.InstanceNorm2d(high), nn.ReLU()]


class UNetLevel(nn.Module):
    """A level of the U-Net with all levels inside of it."""

    def __init__(self, widths: list[int], channels: tuple[int, int], level: int) -> None:
        super().__init__()
        outermost, innermost = level == 0, level == len(widths) - 1
        below = channels[0] if outermost else widths[level - 1]
        out = channels[1] if outermost else widths[level - 1]
        inner = widths[level]
        down: list[Any] = [nn.Conv2d(below, inner, 4, 2, 1, bias=False)]
        if not outermost:
            down = [nn.LeakyReLU(0.2), *down]
            if not innermost:
                down.append(nn.BatchNorm2d(inner))
        wide = inner if innermost else 2 * inner
        up: list[Any] = [nn.ReLU(), nn.ConvTranspose2d(wide, out, 4, 2, 1, bias=outermost)]
        up.append(nn.Tanh() if outermost else nn.BatchNorm2d(out))
        inside = [] if innermost else [UNetLevel(widths, channels, level + 1)]
        drop = [nn.Dropout(0.5)] if 4 <= level < len(widths) - 1 else []
        self.outermost = outermost
        self.model = nn.Sequential(*down, *inside, *up, *drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat((x, self.model(x)), 1)


class UNet(nn.Module):
    """The U-Net of pix2pix."""

    def __init__(self, in_channels: int, width: int, num_downs: int) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(num_downs)]
        self.model = UNetLevel(widths, (in_channels, 3), 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class PatchGAN(nn.Module):
    """The discriminator of both."""

    def __init__(self, in_channels: int, width: int, layers: int, batch_norm: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else nn.InstanceNorm2d
        made: list[Any] = [nn.Conv2d(in_channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, layers + 1):
            low, high = (width * min(2**n, 8) for n in (level - 1, level))
            stride = 1 if level == layers else 2
            made += [nn.Conv2d(low, high, 4, stride, 1, bias=not batch_norm), norm(high)]
            made.append(nn.LeakyReLU(0.2))
        made.append(nn.Conv2d(width * min(2**layers, 8), 1, 4, 1, 1))
        self.model = nn.Sequential(*made)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
