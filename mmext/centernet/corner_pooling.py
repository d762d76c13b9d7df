"""Cascade corner pooling and center pooling, with the convolutions around them.

Source: Duan et al., "CenterNet: Keypoint Triplets for Object Detection", ICCV 2019, section 3.2
and figure 4, on the corner pooling of Law and Deng, "CornerNet", 2018, section 3.3.

Shapes: N images, C channels, ``H x W`` cells.
"""

from typing import cast

from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.centernet.directional_maximum import Direction, cross_maximum, directional_maximum
from mmext.errors import InputError
from mmext.layers.hourglass import DEFAULT_NORM
from mmext.registry import MODELS

# which way a corner looks: along the edge that leaves it, and then into the object
CORNERS: dict[str, tuple[Direction, Direction]] = {
    'top_left': ('top', 'left'),
    'bottom_right': ('bottom', 'right'),
}


@MODELS.register_module()
class CenterPool(BaseModule):
    """Lets the middle of an object see the whole of its row and column.

    Args:
        channels: C, of input and output.
        pool_channels: of the pooled branches.
        norm_cfg: normalization after each convolution.
        init_cfg: as for every mmengine module.
    """

    def __init__(
        self,
        channels: int,
        pool_channels: int = 128,
        norm_cfg: ConfigType = DEFAULT_NORM,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        self.branch1 = ConvModule(channels, pool_channels, 3, padding=1, norm_cfg=norm_cfg)
        self.branch2 = ConvModule(channels, pool_channels, 3, padding=1, norm_cfg=norm_cfg)
        self.merge = ConvModule(
            pool_channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None
        )
        self.skip = ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.relu = nn.ReLU(inplace=True)
        self.out = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg)

    def forward(self, features: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C, H, W]``."""
        merged = self.merge(self.pool(features)) + self.skip(features)
        return cast(Tensor, self.out(self.relu(merged)))

    def pool(self, features: Tensor) -> Tensor:
        """Both pooled branches, added: ``[N, pool_channels, H, W]``."""
        return cross_maximum(self.branch1(features), self.branch2(features))


@MODELS.register_module()
class CascadeCornerPool(CenterPool):
    """Lets a corner see the edges of its object, and through them into the object.

    One branch first looks along the lower (for a top-left corner: rightwards) and then up
    along the edge; the other the other way round.

    Args:
        corner: 'top_left' or 'bottom_right'.
        channels: C, of input and output.
        pool_channels: of the pooled branches.
        norm_cfg: normalization after each convolution; the one between the two
            poolings of a branch has none.
        init_cfg: as for every mmengine module.

    Raises:
        InputError: for another corner.
    """

    def __init__(
        self,
        corner: str,
        channels: int,
        pool_channels: int = 128,
        norm_cfg: ConfigType = DEFAULT_NORM,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(channels, pool_channels, norm_cfg, init_cfg)
        if corner not in CORNERS:
            raise InputError(f'corner: expected one of {sorted(CORNERS)}, got {corner!r}')
        self.vertical, self.horizontal = CORNERS[corner]
        self.look1 = ConvModule(channels, pool_channels, 3, padding=1, norm_cfg=norm_cfg)
        self.look2 = ConvModule(channels, pool_channels, 3, padding=1, norm_cfg=norm_cfg)
        self.between1 = nn.Conv2d(pool_channels, pool_channels, 3, padding=1, bias=False)
        self.between2 = nn.Conv2d(pool_channels, pool_channels, 3, padding=1, bias=False)

    def pool(self, features: Tensor) -> Tensor:
        """Both cascades, added: ``[N, pool_channels, H, W]``."""
        across = directional_maximum(self.look1(features), self.horizontal)
        first = self.between1(self.branch1(features) + across)
        down = directional_maximum(self.look2(features), self.vertical)
        second = self.between2(self.branch2(features) + down)
        return directional_maximum(first, self.vertical) + directional_maximum(
            second, self.horizontal
        )
