"""Networks that make crops of single objects, by class, and judge them.

The discriminator is that of Miyato and Koyama, "cGANs with Projection Discriminator", ICLR 2018,
with spectral normalization (Miyato et al., ICLR 2018). The generator's layers are normalized
within each crop and get scale and shift from the latent vector and the class (Karras et al.,
"A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019, without the
mapping network): a crop does not hang on which others are in its batch.

Shape legend: N crops of S x S px, Z latent values, K classes, C channels.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.network_parts import SpectralConv2d, enlarged

CROP_CHANNELS = 4
"""Red, green, blue and the object's mask."""
_START = 4  # px of the smallest map


class _StyledConv(nn.Module):
    """A convolution, normalized within the crop, with scale and shift of a style."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.style = nn.Linear(style_dim, 2 * out_channels)
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """``[N, C, h, w]`` and ``[N, D]`` to ``[N, C', h, w]``."""
        y = functional.instance_norm(self.conv(x))
        scale, shift = self.style(style)[..., None, None].chunk(2, 1)
        return functional.leaky_relu(y * (1 + scale) + shift, 0.2)


@MODELS.register_module()
class CropGenerator(BaseModule):
    """Crops of objects with their masks, from latent vectors and classes.

    Args:
        num_classes: K.
        latent_dim: Z.
        class_dim: values of the class embedding.
        widths: channels of the maps of 4, 8, 16, ... px: their number decides the size of a crop.
        init_cfg: of mmengine.

    Raises:
        InputError: no class, or less than two widths.
    """

    def __init__(
        self,
        num_classes: int,
        latent_dim: int = 64,
        class_dim: int = 32,
        widths: Sequence[int] = (128, 96, 64, 32),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 1 or len(widths) < 2:
            raise InputError(
                f'CropGenerator: num_classes {num_classes} (at least 1), widths {tuple(widths)} '
                '(at least two)'
            )
        self.num_classes, self.latent_dim = num_classes, latent_dim
        self.size = _START * 2 ** (len(widths) - 1)
        style = latent_dim + class_dim
        self.class_vectors = nn.Embedding(num_classes, class_dim)
        self.start = nn.Linear(style, widths[0] * _START**2)
        self.convs = nn.ModuleList(_StyledConv(low, high, style) for low, high in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], CROP_CHANNELS, 3, padding=1)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Make crops.

        Args:
            latent: ``[N, Z]``, of a normal distribution.
            labels: ``[N]``.

        Returns:
            RGB and mask, ``[N, 4, S, S]`` in [-1, 1].
        """
        style = torch.cat([latent, self.class_vectors(labels)], 1)
        x = self.start(style).view(len(latent), -1, _START, _START)
        for conv in self.convs:
            x = conv(enlarged(x), style)
        return self.last(x).tanh()


@MODELS.register_module()
class ProjectionDiscriminator(BaseModule):
    """One logit for each crop: psi(f) + <v_class, f>, f the features summed over places.

    Args:
        num_classes: K.
        size: S, a power of two.
        width: channels of the first convolution; they double with each of stride 2.
        init_cfg: of mmengine.

    Raises:
        InputError: a size that is no power of two of at least 8.
    """

    def __init__(
        self, num_classes: int, size: int = 32, width: int = 32, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        steps = int(math.log2(size / _START)) if size >= 2 * _START else 0
        if size != _START * 2**steps or not steps:
            raise InputError(
                f'ProjectionDiscriminator: size {size}; it can be 8, 16, 32, 64, ... px'
            )
        self.num_classes = num_classes
        widths = [CROP_CHANNELS, *(width * 2**level for level in range(steps))]
        self.downs = nn.ModuleList(
            SpectralConv2d(low, high, 4, stride=2, padding=1) for low, high in pairwise(widths)
        )
        self.mix = SpectralConv2d(widths[-1], widths[-1], 3, padding=1)
        # of 1 x 1 on one place: a linear layer and an embedding, spectrally normalized
        self.verdict = SpectralConv2d(widths[-1], 1, 1)
        self.class_vectors = SpectralConv2d(num_classes, widths[-1], 1, bias=False)

    def forward(self, crops: Tensor, labels: Tensor) -> Tensor:
        """Judge crops ``[N, 4, S, S]`` of classes ``[N]``: logits ``[N]``."""
        x = crops
        for conv in self.downs:
            x = functional.leaky_relu(conv(x), 0.2)
        x = functional.leaky_relu(self.mix(x), 0.2)
        seen = x.sum((2, 3), keepdim=True)
        chosen = functional.one_hot(labels, self.num_classes).to(seen.dtype)[..., None, None]
        match = (self.class_vectors(chosen) * seen).sum((1, 2, 3))
        return self.verdict(seen).flatten() + match
