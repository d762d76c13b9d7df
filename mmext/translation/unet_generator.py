"""The generator of pix2pix: a U-Net.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.network_parts import make_norm, normal_weights, padded

_WIDEST = 8  # channels grow up to so many times the first ones
_FEWEST_LEVELS = 2
_PLAIN_LEVELS = 5  # all but these have dropout: the outer four, and the innermost


@MODELS.register_module()
class UNetGenerator(BaseModule):
    """Halves the size ``num_downs`` times and doubles it again, with a direct way at each size.

    Any size is taken: what is no multiple of ``2 ** num_downs`` is mirrored at the right and below,
    and cut off again.

    Args:
        in_channels: of the source.
        out_channels: of the result.
        num_downs: 8 for 256 px and 7 for 128 in the paper.
        width: channels of the outermost level; they double, up to 8 times.
        norm: ``'instance'``: the same in training and test; ``'batch'`` is the paper's.
        dropout: of the inner levels, in training.
        gain: of the start values.
        init_cfg: of mmengine.

    Raises:
        InputError: fewer than 2 levels, or an unknown norm.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        num_downs: int = 8,
        width: int = 64,
        norm: str = 'instance',
        dropout: float = 0.5,
        gain: float = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or normal_weights(gain))
        if num_downs < _FEWEST_LEVELS:
            raise InputError(f'num_downs: expected at least {_FEWEST_LEVELS}, got {num_downs}')
        self.num_downs = num_downs
        widths = [width * min(2**level, _WIDEST) for level in range(num_downs)]
        bias = norm != 'batch'
        last = num_downs - 1
        self.downs, self.down_norms = nn.ModuleList(), nn.ModuleList()
        self.ups, self.up_norms = nn.ModuleList(), nn.ModuleList()  # the outermost first
        for level, channels in enumerate(widths):
            below = in_channels if level == 0 else widths[level - 1]
            self.downs.append(nn.Conv2d(below, channels, 4, 2, 1, bias=bias))
            plain = level in (0, last)
            self.down_norms.append(make_norm('none' if plain else norm, channels))
            wide = channels if level == last else 2 * channels
            out = out_channels if level == 0 else widths[level - 1]
            self.ups.append(nn.ConvTranspose2d(wide, out, 4, 2, 1, bias=bias or level == 0))
            self.up_norms.append(make_norm('none' if level == 0 else norm, out))
        inner = num_downs - _PLAIN_LEVELS  # levels next to the innermost
        self.dropouts = [dropout if last - inner <= level < last else 0.0 for level in range(last)]

    def forward(self, picture: Tensor) -> Tensor:
        """Translate.

        Args:
            picture: ``[N, in_channels, h, w]``.

        Returns:
            ``[N, out_channels, h, w]``, from -1 to 1.
        """
        height, width = picture.shape[-2:]
        x = padded(picture, 2**self.num_downs)
        passed: list[Tensor] = []
        for level, (conv, norm) in enumerate(zip(self.downs, self.down_norms, strict=True)):
            x = norm(conv(functional.leaky_relu(x, 0.2) if level else x))
            passed.append(x)
        x = passed.pop()
        for level in range(self.num_downs - 1, 0, -1):
            x = self.up_norms[level](self.ups[level](functional.relu(x)))
            if level < self.num_downs - 1 and self.dropouts[level]:
                x = functional.dropout(x, self.dropouts[level], self.training)
            x = torch.cat((passed.pop(), x), 1)
        return self.ups[0](functional.relu(x))[..., :height, :width].tanh()
