"""The generator of CycleGAN: downwards, residual blocks, upwards.

Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
ICCV 2017, after the image-transform network of Johnson et al., ECCV 2016.
"""

from itertools import pairwise

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.network_parts import enlarged, make_norm, normal_weights, padded

_UPSAMPLINGS = ('resize', 'deconv')
_OUTPUTS = ('tanh', 'linear')
_DOWNS = 2  # the size is halved so many times


class ResidualBlock(nn.Module):
    """Two convolutions beside a direct way, nothing after the sum.

    Args:
        channels: in and out.
        norm: of :func:`.network_parts.make_norm`.
        norm_affine: of instance norm.
        dropout: between the convolutions.
    """

    def __init__(self, channels: int, norm: str, norm_affine: bool, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=norm != 'batch')
        self.norm1 = make_norm(norm, channels, norm_affine)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=norm != 'batch')
        self.norm2 = make_norm(norm, channels, norm_affine)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, h, w]`` to ``[N, C, h, w]``."""
        inner = functional.relu(self.norm1(self.conv1(mirrored(x, 1))))
        return x + self.norm2(self.conv2(mirrored(self.dropout(inner), 1)))


@MODELS.register_module()
class ResidualGenerator(BaseModule):
    """Pictures in, pictures of the same size out, values from -1 to 1.

    Any size is taken: what is no multiple of the stride is mirrored at the right and below, and
    cut off again.

    Args:
        in_channels: of the source.
        out_channels: of the result.
        width: channels of the first convolution; each step downwards doubles them.
        num_blocks: 9 for pictures of 256 px, 6 for 128 in the paper.
        kernel: of the first and the last convolution.
        norm: ``'instance'``, ``'batch'`` or ``'none'``.
        norm_affine: whether instance norm has a scale and a shift.
        dropout: inside of the blocks.
        upsample: ``'resize'`` repeats places and convolves; ``'deconv'`` is the transposed
            convolution of the released weights, which leaves checkerboards.
        out: ``'tanh'``, or ``'linear'`` for the network of Johnson et al.
        gain: of the start values.
        init_cfg: of mmengine.

    Raises:
        InputError: an unknown norm, upsampling or output.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        num_blocks: int = 9,
        kernel: int = 7,
        norm: str = 'instance',
        norm_affine: bool = False,
        dropout: float = 0.0,
        upsample: str = 'resize',
        out: str = 'tanh',
        gain: float = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or normal_weights(gain))
        for name, value, known in (('upsample', upsample, _UPSAMPLINGS), ('out', out, _OUTPUTS)):
            if value not in known:
                raise InputError(f'{name}: expected one of {", ".join(known)}, got {value!r}')
        self.upsample, self.out = upsample, out
        self.reach = kernel // 2
        widths = [width * 2**level for level in range(_DOWNS + 1)]
        bias = norm != 'batch'
        self.stem = nn.Conv2d(in_channels, width, kernel, bias=bias)
        self.stem_norm = make_norm(norm, width, norm_affine)
        steps = list(pairwise(widths))
        self.downs = nn.ModuleList(
            nn.Conv2d(low, high, 3, stride=2, padding=1, bias=bias) for low, high in steps
        )
        self.down_norms = nn.ModuleList(make_norm(norm, high, norm_affine) for _, high in steps)
        self.blocks = nn.ModuleList(
            ResidualBlock(widths[-1], norm, norm_affine, dropout) for _ in range(num_blocks)
        )
        self.ups = nn.ModuleList(self._up(high, low, bias) for low, high in reversed(steps))
        self.up_norms = nn.ModuleList(
            make_norm(norm, low, norm_affine) for low, _ in reversed(steps)
        )
        self.head = nn.Conv2d(width, out_channels, kernel)

    def forward(self, picture: Tensor) -> Tensor:
        """Translate.

        Args:
            picture: ``[N, in_channels, h, w]``.

        Returns:
            ``[N, out_channels, h, w]``.
        """
        height, width = picture.shape[-2:]
        x = padded(picture, 2**_DOWNS, one_place=False)
        x = functional.relu(self.stem_norm(self.stem(mirrored(x, self.reach))))
        for conv, norm in zip(self.downs, self.down_norms, strict=True):
            x = functional.relu(norm(conv(x)))
        for block in self.blocks:
            x = block(x)
        for conv, norm in zip(self.ups, self.up_norms, strict=True):
            if self.upsample == 'resize':
                x = mirrored(enlarged(x), 1)
            x = functional.relu(norm(conv(x)))
        x = self.head(mirrored(x, self.reach))[..., :height, :width]
        return x.tanh() if self.out == 'tanh' else x

    def _up(self, high: int, low: int, bias: bool) -> nn.Module:
        if self.upsample == 'resize':
            return nn.Conv2d(high, low, 3, bias=bias)
        return nn.ConvTranspose2d(high, low, 3, stride=2, padding=1, output_padding=1, bias=bias)


def mirrored(x: Tensor, reach: int) -> Tensor:
    """``[N, C, h, w]`` with a border mirrored at its first and last places.

    Maps that are too small for it have those repeated.
    """
    mode = 'reflect' if min(x.shape[-2:]) > reach else 'replicate'
    return functional.pad(x, (reach,) * 4, mode=mode)
