"""MobileNetV1 (Howard et al., arXiv 1704.04861), the backbone of the small RetinaFace."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmdet.utils import OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.registry import MODELS

# per stage (channels at full width, stride) of its depthwise-separable blocks; before them one
# convolution of stride 2 to 32 channels. The stages end at strides 8, 16 and 32.
_STAGES = (
    ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)),
    ((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    ((1024, 2), (1024, 1)),
)
_STEM_CHANNELS = 32


@MODELS.register_module()
class MobileNetV1(BaseModule):
    """Three stages of depthwise-separable convolutions.

    Args:
        widen_factor: of the number of channels (256, 512 and 1024 at the ends of the stages).
        out_indices: the stages whose outputs are returned, 0 to 2.
        norm_cfg: of every convolution.
        act_cfg: of every convolution.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        widen_factor: float = 0.25,
        out_indices: Sequence[int] = (0, 1, 2),
        norm_cfg: OptConfigType = dict(type='BN'),  # noqa: B006 - read only
        act_cfg: OptConfigType = dict(type='LeakyReLU', negative_slope=0.1),  # noqa: B006
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        if not all(index in range(len(_STAGES)) for index in self.out_indices):
            raise InputError(f'out_indices: expected stages 0 to 2, got {self.out_indices}')
        layers: dict[str, Any] = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        channels = int(_STEM_CHANNELS * widen_factor)
        self.stem = ConvModule(3, channels, 3, stride=2, padding=1, **layers)
        self.stages = nn.ModuleList()
        for blocks in _STAGES[: max(self.out_indices) + 1]:
            stage = nn.Sequential()
            for full_width, stride in blocks:
                width = int(full_width * widen_factor)
                stage.append(
                    DepthwiseSeparableConvModule(channels, width, 3, stride, padding=1, **layers)
                )
                channels = width
            self.stages.append(stage)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``[N, 3, H, W]`` to features at strides 8, 16, 32 (those of ``out_indices``)."""
        x = self.stem(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
