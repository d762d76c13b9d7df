"""MobileNetV2 up to the last map that is used.

Sandler et al., CVPR 2018. The host's has all stages, whatever maps are taken; those behind the last
one cost time, and parameters without a gradient end a training on several GPUs.
"""

from typing import Any, Self

from mmdet.models.backbones import MobileNetV2

from mmext.registry import MODELS


@MODELS.register_module()
class YolactMobileNetV2(MobileNetV2):
    """The host's backbone without the stages behind the last output.

    Args:
        out_indices: stages whose maps are taken; by default those of 32, 64 and 160 channels at
            strides 8, 16 and 32.
        **kwargs: as the host's.
    """

    def __init__(self, out_indices: tuple[int, ...] = (2, 3, 5), **kwargs: Any) -> None:
        super().__init__(out_indices=out_indices, **kwargs)
        for name in self.layers[max(out_indices) + 1 :]:
            delattr(self, name)
        del self.layers[max(out_indices) + 1 :]

    def train(self, mode: bool = True) -> Self:
        """As the host's, which returns nothing, so that `backbone.eval()(x)` fails."""
        super().train(mode)
        return self
