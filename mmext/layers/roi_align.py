"""RoIAlign that is fast on a CPU, and the RoI extractor that uses it.

One line changes a host config: ``bbox_roi_extractor=dict(type='mmext.SingleRoIExtractor')``
(and the mask head's likewise); the inherited ``roi_layer=dict(type='RoIAlign', …)`` stays.
"""

from typing import Any

from mmcv import ops
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor as HostExtractor
from mmdet.utils import ConfigType
from torch import Tensor, nn

from mmext.functional.roi_align import roi_align
from mmext.registry import MODELS


@MODELS.register_module()
class RoIAlign(ops.RoIAlign):
    """mmcv's RoIAlign with another formulation for average pooling on a CPU.

    Results are equal; there, half precision features work too (computed in
    float32). Everything else runs mmcv's kernel.

    Args:
        *args: as mmcv's, likewise ``**kwargs``.
        inclusive_ends: pool boxes up to their last pixel instead of its far edge, for weights
            that were trained so: 1 px is taken off the ends of the RoIs.
    """

    def __init__(self, *args: Any, inclusive_ends: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.inclusive_ends = inclusive_ends

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """``[N, C, H, W]`` and ``[R, 5]`` (image, box_xyxy in px) -> ``[R, C, oh, ow]``."""
        if self.inclusive_ends:
            rois = rois - rois.new_tensor([0, 0, 0, 1, 1])
        if features.device.type != 'cpu' or self.pool_mode != 'avg' or self.use_torchvision:
            return super().forward(features, rois)
        return roi_align(
            features, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )


@MODELS.register_module()
class SingleRoIExtractor(HostExtractor):
    """mmdet's extractor; its ``RoIAlign`` layers are ours.

    The host looks layer names up in ``mmcv.ops`` only, hence this class.
    """

    takes_any_memory_order = True

    def build_roi_layers(self, layer_cfg: ConfigType, featmap_strides: list[int]) -> nn.ModuleList:
        """One RoI layer per level; takes 'RoIAlign', 'mmext.RoIAlign' or any other of mmcv's."""
        layer_cfg = dict(layer_cfg)
        if layer_cfg['type'] in ('RoIAlign', 'mmext.RoIAlign'):
            layer_cfg['type'] = RoIAlign
        return super().build_roi_layers(layer_cfg, featmap_strides)
