"""The pyramid of RetinaFace: lateral and merge convolutions with norm, context on every level.

Deng et al., RetinaFace, arXiv 1905.00641 v2. Unlike mmdet's FPN, every convolution has norm and
activation, the sum of a level is convolved before it goes down, and the top level is its lateral
alone.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.utils import OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.registry import MODELS
from mmext.retinaface.context_module import ContextModule


@MODELS.register_module()
class FaceFPN(BaseModule):
    """Feature pyramid with context modules.

    Args:
        in_channels: of each input, finest first.
        out_channels: of each output, divisible by 4.
        num_extra: levels above the last input, each by a 3x3 convolution of stride 2 on the one
            below (the first on the last input itself).
        conv_cfg: of the 3x3 convolutions (merge and context).
        norm_cfg: of every convolution.
        act_cfg: of every convolution that has one.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_extra: int = 0,
        conv_cfg: OptConfigType = None,
        norm_cfg: OptConfigType = dict(type='BN'),  # noqa: B006 - read only
        act_cfg: OptConfigType = dict(type='ReLU'),  # noqa: B006 - read only
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        layers = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.laterals = nn.ModuleList(
            ConvModule(channels, out_channels, 1, **layers) for channels in in_channels
        )
        self.merges = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1, conv_cfg=conv_cfg, **layers)
            for _ in in_channels[:-1]
        )
        self.extras = nn.ModuleList(
            ConvModule(channels, out_channels, 3, stride=2, padding=1, **layers)
            for channels in [in_channels[-1], *[out_channels] * num_extra][:num_extra]
        )
        self.contexts = nn.ModuleList(
            ContextModule(out_channels, out_channels, conv_cfg=conv_cfg, **layers)
            for _ in range(len(in_channels) + num_extra)
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Backbone features, finest first, to pyramid levels ``[N, out, H_i, W_i]``."""
        levels = [lateral(x) for lateral, x in zip(self.laterals, inputs, strict=True)]
        for i in range(len(levels) - 2, -1, -1):
            above = F.interpolate(levels[i + 1], size=levels[i].shape[-2:], mode='nearest')
            levels[i] = self.merges[i](levels[i] + above)
        top = inputs[-1]
        for extra in self.extras:
            top = extra(top)
            levels.append(top)
        return tuple(context(x) for context, x in zip(self.contexts, levels, strict=True))
