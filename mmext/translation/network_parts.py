"""What the networks of this room share: normalization, start values, sizes.

Shape legend: N pictures, C channels, ``h x w`` places.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError

NORMS = ('instance', 'batch', 'none')


class PictureBatchNorm(nn.BatchNorm2d):
    """BatchNorm that tests by the statistics of each picture, as pix2pix does with its batch of 1.

    Running statistics are learned in training and stay as they are in a test, where a picture's
    result does not hang on which others are in its batch.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``[N, C, h, w]``."""
        if self.training:
            return super().forward(x)
        return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


def make_norm(kind: str, channels: int, affine: bool = False) -> nn.Module:
    """A layer of normalization.

    Args:
        kind: ``'instance'`` (no running statistics), ``'batch'``, or ``'none'``.
        channels: of its input.
        affine: whether instance norm has a scale and a shift; batch norm always has.

    Raises:
        InputError: another kind.
    """
    if kind not in NORMS:
        raise InputError(f'norm: expected one of {", ".join(NORMS)}, got {kind!r}')
    if kind == 'instance':
        return nn.InstanceNorm2d(channels, affine=affine)
    return PictureBatchNorm(channels) if kind == 'batch' else nn.Identity()


def normal_weights(gain: float = 0.02) -> list[dict]:
    """Start values of pix2pix and CycleGAN (``init_cfg``): weights N(0, gain), scales N(1, gain).

    Biases are 0. Colors that come out inverted early in a training are cured by a smaller ``gain``
    (the authors' questions and answers).
    """
    norms = ['BatchNorm2d', 'InstanceNorm2d']
    return [
        dict(type='Normal', layer=['Conv2d', 'ConvTranspose2d'], std=gain),
        dict(type='Normal', layer=norms, mean=1.0, std=gain),
    ]


def xavier_weights(gain: float = 0.02) -> list[dict]:
    """Start values of SPADE, for ``init_cfg``: Xavier normal, biases 0."""
    return [dict(type='Xavier', layer='Conv2d', gain=gain, distribution='normal')]


def padded(picture: Tensor, multiple: int, one_place: bool = True) -> Tensor:
    """Pictures whose sides are multiples of a number, continued at the right and below.

    Args:
        picture: ``[N, C, h, w]``.
        multiple: of pixels.
        one_place: whether one multiple along both sides will do; an instance norm at that size
            has nothing to compare.

    Returns:
        ``[N, C, H, W]``, mirrored at the border, or with its last pixels repeated where it is too
        small to be mirrored.
    """
    height, width = picture.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not one_place and height + down == width + right == multiple:
        right += multiple
    if not (down or right):
        return picture
    mirrors = down < height and right < width
    return functional.pad(picture, (0, right, 0, down), mode='reflect' if mirrors else 'replicate')


def bare(network: nn.Module) -> nn.Module:
    """A network without the wrapper that averages its gradients over ranks."""
    if isinstance(network, nn.parallel.DistributedDataParallel):
        inner: nn.Module = network.module
        return inner
    return network


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """No parameter of the networks gets a gradient; what was frozen before stays so.

    Inside, call :func:`bare` networks: a wrapper for several ranks waits for gradients.
    """
    learning = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def enlarged(x: Tensor) -> Tensor:
    """Twice the height and width of ``[N, C, h, w]``, each place repeated."""
    return functional.interpolate(x, scale_factor=2.0, mode='nearest')


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight is divided by its largest singular value (Miyato et al. 2018).

    One step of the power iteration at each call in training, in float32 under any autocast.
    """

    u: Tensor
    v: Tensor

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__(*arguments, **keywords)  # type: ignore[arg-type]
        rows = self.weight.flatten(1)
        self.register_buffer('u', functional.normalize(torch.randn(rows.shape[0]), dim=0))
        self.register_buffer('v', functional.normalize(torch.randn(rows.shape[1]), dim=0))

    def normalized_weight(self) -> Tensor:
        """``[out, in, k, k]``."""
        with torch.autocast(self.weight.device.type, enabled=False):
            rows = self.weight.flatten(1)
            if self.training:
                with torch.no_grad():
                    self.v.copy_(functional.normalize(rows.T @ self.u, dim=0, eps=1e-12))
                    self.u.copy_(functional.normalize(rows @ self.v, dim=0, eps=1e-12))
            # copies: a second call before the backward pass changes the buffers
            largest = self.u.clone() @ (rows @ self.v.clone())
            return self.weight / largest

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``[N, in, h, w]``."""
        return self._conv_forward(x, self.normalized_weight(), self.bias)
