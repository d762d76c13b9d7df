"""The generator of SPADE: every normalization is shifted and scaled by the label map.

Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization", CVPR 2019. Written
from the paper and from shapes and names of the released weights, whose license is non-commercial.

Shape legend: N pictures, C channels, K channels of the condition, ``h x w`` places.
"""

from itertools import pairwise

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.network_parts import SpectralConv2d, enlarged, padded, xavier_weights

_NORMS = {'batch': nn.BatchNorm2d, 'instance': nn.InstanceNorm2d}


class SpatialNorm(nn.Module):
    """Normalization whose scale and shift are computed from a condition, place by place.

    Args:
        channels: of what is normalized.
        condition_channels: K.
        norm: ``'batch'`` (running statistics in a test, as released) or ``'instance'``.
        hidden: channels of the shared convolution.

    Raises:
        InputError: another norm.
    """

    def __init__(
        self, channels: int, condition_channels: int, norm: str = 'instance', hidden: int = 128
    ) -> None:
        super().__init__()
        if norm not in _NORMS:
            raise InputError(f'norm: expected one of {", ".join(_NORMS)}, got {norm!r}')
        self.norm = _NORMS[norm](channels, affine=False)
        self.shared = nn.Conv2d(condition_channels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``norm(x) * (1 + gamma) + beta``.

        Args:
            x: ``[N, C, h, w]``.
            condition: ``[N, K, h', w']``, resized to the nearest place.

        Returns:
            ``[N, C, h, w]``.
        """
        shown = functional.interpolate(condition, size=x.shape[-2:], mode='nearest')
        hidden = functional.relu(self.shared(shown))
        return self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)


class SpatialBlock(nn.Module):
    """Two convolutions after :class:`SpatialNorm`, beside a direct way.

    Args:
        low: channels in.
        high: channels out; where they differ the direct way is a convolution of 1 x 1.
        condition_channels: K.
        norm: of SpatialNorm.
        hidden: of SpatialNorm.
    """

    def __init__(
        self, low: int, high: int, condition_channels: int, norm: str, hidden: int
    ) -> None:
        super().__init__()
        middle = min(low, high)
        self.norm1 = SpatialNorm(low, condition_channels, norm, hidden)
        self.conv1 = SpectralConv2d(low, middle, 3, padding=1)
        self.norm2 = SpatialNorm(middle, condition_channels, norm, hidden)
        self.conv2 = SpectralConv2d(middle, high, 3, padding=1)
        self.direct_norm = self.direct_conv = None
        if low != high:
            self.direct_norm = SpatialNorm(low, condition_channels, norm, hidden)
            self.direct_conv = SpectralConv2d(low, high, 1, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``[N, low, h, w]`` to ``[N, high, h, w]``."""
        direct = x
        if self.direct_conv is not None and self.direct_norm is not None:
            direct = self.direct_conv(self.direct_norm(x, condition))
        inner = self.conv1(functional.leaky_relu(self.norm1(x, condition), 0.2))
        return direct + self.conv2(functional.leaky_relu(self.norm2(inner, condition), 0.2))


@MODELS.register_module()
class SPADEGenerator(BaseModule):
    """Pictures from label maps.

    Starts from the map made small. Any size is taken, as by the other generators of this room.

    Args:
        in_channels: K, the channels of the condition.
        out_channels: of the picture.
        width: channels before the last convolution; 16 times as many at the start.
        num_ups: doublings: 5, and 6 for wide pictures ("more").
        norm: see :class:`SpatialNorm`.
        hidden: see :class:`SpatialNorm`.
        gain: of the start values (Xavier).
        init_cfg: of mmengine.

    Raises:
        InputError: another number of doublings, or an unknown norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        width: int = 64,
        num_ups: int = 5,
        norm: str = 'instance',
        hidden: int = 128,
        gain: float = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or xavier_weights(gain))
        if num_ups not in (5, 6):
            raise InputError(f'num_ups: expected 5 or 6, got {num_ups}')
        self.num_ups = num_ups
        wide = 16 * width
        widths = [wide, wide, wide, wide, *(width * 2**level for level in (3, 2, 1, 0))]
        self.start = nn.Conv2d(in_channels, wide, 3, padding=1)
        # head, middle_0, middle_1, up_0 to up_3
        self.blocks = nn.ModuleList(
            SpatialBlock(low, high, in_channels, norm, hidden) for low, high in pairwise(widths)
        )
        self.last = nn.Conv2d(width, out_channels, 3, padding=1)

    def forward(self, condition: Tensor) -> Tensor:
        """Paint.

        Args:
            condition: ``[N, in_channels, h, w]``.

        Returns:
            ``[N, out_channels, h, w]``, from -1 to 1.
        """
        height, width = condition.shape[-2:]
        stride = 2**self.num_ups
        condition = padded(condition, stride, one_place=False)
        small = (condition.shape[-2] // stride, condition.shape[-1] // stride)
        x = self.start(functional.interpolate(condition, size=small, mode='nearest'))
        not_enlarged = (0, 2) if self.num_ups == 5 else (0,)
        for number, block in enumerate(self.blocks):
            x = x if number in not_enlarged else enlarged(x)
            x = block(x, condition)
        return self.last(functional.leaky_relu(x, 0.2))[..., :height, :width].tanh()
