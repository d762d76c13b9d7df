"""An estimator small enough to build and run in milliseconds, and images with boxes for it."""

import copy
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.registry import MODELS

POINTS, SIZE, PAIRS = 5, (48, 64), ((0, 1), (3, 4))
CONFIG: dict[str, Any] = dict(
    type='mmext.CropLandmarkEstimator',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=True),
    input_size=SIZE,
    flip_pairs=PAIRS,
    backbone=dict(
        type='ResNet', depth=18, base_channels=4, stem_channels=4, num_stages=2,
        strides=(1, 2), dilations=(1, 1), out_indices=(1,), norm_cfg=dict(type='BN'),
        norm_eval=False,
    ),
    # its points are means: a last bit does not move them from one maximum to another
    head=dict(type='mmext.IntegralHead', num_points=POINTS, in_channels=8, deconv_channels=(8,)),
)  # fmt: skip
DETECTOR: dict[str, Any] = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[100.0, 110, 120], std=[50.0, 51, 52], bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='ResNet', depth=18, base_channels=4, stem_channels=4, out_indices=(1, 2, 3)
    ),
    neck=dict(type='FPN', in_channels=[8, 16, 32], out_channels=8, num_outs=3),
    bbox_head=dict(
        type='RetinaHead', num_classes=2, in_channels=8, feat_channels=8, stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=2, scales_per_octave=1, ratios=[1.0],
            strides=[8, 16, 32],
        ),
    ),
    test_cfg=dict(nms_pre=50, min_bbox_size=4, score_thr=0.0, max_per_img=20,
                  nms=dict(type='nms', iou_threshold=0.5)),
)  # fmt: skip


def build(**changed: Any) -> Any:
    """The estimator with other parts, the same weights at every call, in evaluation.

    The maps of its own head are sharp, so that points lie all over the crop.
    """
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict({**copy.deepcopy(CONFIG), **changed})).eval()
    if 'head' not in changed:
        with torch.no_grad():
            model.head.layers[-1].weight.mul_(30)
    return model


def boxes(seed: int, count: int, side: int = 96) -> Tensor:
    """Boxes that lie inside of an image, ``[n, 4]``."""
    generator = torch.Generator().manual_seed(seed)
    corners = side / 2 * torch.rand(count, 2, generator=generator)
    sides = 10 + side / 3 * torch.rand(count, 2, generator=generator)
    return torch.cat([corners, corners + sides], 1)


def sample(
    image_boxes: Tensor | None, shape: tuple[int, int] = (96, 96), factor: float = 1.0
) -> DetDataSample:
    """An image whose boxes are given in px of its file."""
    original = round(shape[0] / factor), round(shape[1] / factor)
    made = DetDataSample(
        metainfo=dict(img_shape=shape, ori_shape=original, scale_factor=(factor, factor), img_id=1)
    )
    if image_boxes is not None:
        labels = torch.zeros(len(image_boxes), dtype=torch.long)
        made.gt_instances = InstanceData(bboxes=image_boxes, labels=labels)
    return made


def images(count: int, side: int = 96) -> Tensor:
    """Smooth random pictures, 0..255: ``[count, 3, side, side]``."""
    generator = torch.Generator().manual_seed(9)
    coarse = 255 * torch.rand(count, 3, side // 8, side // 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, (side, side), mode='bilinear')
