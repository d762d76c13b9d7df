"""Discriminators that judge patches of a picture.

PatchGAN: Isola et al., CVPR 2017. Several scales: Wang et al., pix2pixHD, CVPR 2018, in the form of
SPADE, Park et al., CVPR 2019.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.network_parts import (
    SpectralConv2d,
    make_norm,
    normal_weights,
    xavier_weights,
)

_WIDEST = 8  # channels grow up to so many times the first ones


@MODELS.register_module()
class PatchDiscriminator(BaseModule):
    """One logit for each patch; of ``num_layers`` 1 to 5 it is 16, 34, 70, 142 or 286 px wide.

    Pictures of 64 px want 2 layers: 70 px see them whole.

    Args:
        in_channels: of the picture, and of the condition if it is judged beside it.
        width: channels of the first convolution; they double, up to 8 times.
        num_layers: 0 judges single pixels.
        norm: ``'instance'``, ``'batch'`` or ``'none'``.
        gain: of the start values.
        init_cfg: of mmengine.

    Raises:
        InputError: a negative number of layers, or an unknown norm.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 64,
        num_layers: int = 3,
        norm: str = 'instance',
        gain: float = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or normal_weights(gain))
        if num_layers < 0:
            raise InputError(f'num_layers: expected at least 0, got {num_layers}')
        size, padding = (4, 1) if num_layers else (1, 0)
        widths = [width * min(2**level, _WIDEST) for level in range(max(num_layers, 1) + 1)]
        first_stride = 2 if num_layers else 1
        self.convs = nn.ModuleList(
            [nn.Conv2d(in_channels, width, size, stride=first_stride, padding=padding)]
        )
        self.norms = nn.ModuleList([make_norm('none', width)])
        for level, channels in enumerate(widths[1:], 1):
            stride = 2 if level < num_layers else 1
            self.convs.append(
                nn.Conv2d(widths[level - 1], channels, size, stride, padding, bias=norm != 'batch')
            )
            self.norms.append(make_norm(norm, channels))
        self.head = nn.Conv2d(widths[-1], 1, size, padding=padding)

    def forward(self, picture: Tensor) -> list[list[Tensor]]:
        """Judge.

        Args:
            picture: ``[N, in_channels, h, w]``.

        Returns:
            Of one scale the results of the layers, ``[N, C, h', w']``; the last are logits, C = 1.
        """
        x, layers = picture, []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.leaky_relu(norm(conv(x)), 0.2)
            layers.append(x)
        return [[*layers, self.head(x)]]


class SpectralPatches(nn.Module):
    """One scale of :class:`MultiscaleDiscriminator`."""

    def __init__(self, in_channels: int, width: int, num_layers: int) -> None:
        super().__init__()
        widths = [width * min(2**level, _WIDEST) for level in range(num_layers)]
        first = nn.Conv2d(in_channels, width, 4, stride=2, padding=2)
        self.convs = nn.ModuleList([first])
        for level, channels in enumerate(widths[1:], 1):
            stride = 1 if level == num_layers - 1 else 2
            self.convs.append(
                SpectralConv2d(widths[level - 1], channels, 4, stride=stride, padding=2, bias=False)
            )
        self.head = nn.Conv2d(widths[-1], 1, 4, padding=2)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """The results of the layers for ``[N, in_channels, h, w]``; the last are logits."""
        x, layers = picture, []
        for level, conv in enumerate(self.convs):
            x = conv(x)
            x = functional.leaky_relu(functional.instance_norm(x) if level else x, 0.2)
            layers.append(x)
        return [*layers, self.head(x)]


@MODELS.register_module()
class MultiscaleDiscriminator(BaseModule):
    """SPADE's: the same network, with weights of its own, on the picture and on smaller ones.

    Args:
        in_channels: of condition and picture.
        width: channels of the first convolution.
        num_layers: with those of stride 1, without the last.
        num_scales: each is half as large as the one before.
        gain: of the start values (Xavier).
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        num_layers: int = 4,
        num_scales: int = 2,
        gain: float = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or xavier_weights(gain))
        self.scales = nn.ModuleList(
            SpectralPatches(in_channels, width, num_layers) for _ in range(num_scales)
        )

    def forward(self, picture: Tensor) -> list[list[Tensor]]:
        """Judge ``[N, in_channels, h, w]``; the largest scale first, see PatchDiscriminator."""
        results = []
        for number, scale in enumerate(self.scales):
            if number:
                picture = functional.avg_pool2d(picture, 3, 2, 1, count_include_pad=False)
            results.append(scale(picture))
        return results


def joined(condition: Tensor | None, picture: Tensor) -> Tensor:
    """What a discriminator sees: ``[N, C + 3, h, w]``, or the picture alone."""
    return picture if condition is None else torch.cat((condition, picture), 1)
