"""Feature pyramid with global context at its top.

Source: the released COCO configurations of UPSNet (Xiong et al., CVPR 2019);
the Cityscapes ones use the plain pyramid. The mean of the last backbone
stage over the image passes through a linear layer and is added to the
lateral connection of that stage before the top-down pass.
"""

from typing import Any

from mmcv.cnn import ConvModule
from mmdet.models.necks import FPN
from torch import Tensor, nn

from mmext.registry import MODELS


class GlobalContextLateral(nn.Module):
    """A lateral convolution plus the projected mean of its input.

    Args:
        lateral: the lateral convolution, ``in_channels -> out_channels``.
        in_channels: channels of the backbone stage.
        out_channels: channels of the pyramid.
    """

    def __init__(self, lateral: ConvModule, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lateral = lateral
        self.context = nn.Linear(in_channels, out_channels)

    def forward(self, feature: Tensor) -> Tensor:
        """``[N, in_channels, h, w]`` to ``[N, out_channels, h, w]``."""
        context = self.context(feature.mean(dim=(2, 3)))
        return self.lateral(feature) + context[:, :, None, None]


@MODELS.register_module()
class GlobalContextFPN(FPN):
    """mmdet's FPN, same arguments, with global context in the topmost lateral."""

    def __init__(self, in_channels: list[int], out_channels: int, **kwargs: Any) -> None:
        super().__init__(in_channels, out_channels, **kwargs)
        self.lateral_convs[-1] = GlobalContextLateral(
            self.lateral_convs[-1], in_channels[self.backbone_end_level - 1], out_channels
        )
