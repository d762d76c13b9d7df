"""A DensePose R-CNN small enough to run in milliseconds, and samples for it."""

import copy
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmext.configuration import load_config
from mmext.registry import MODELS

SHAPE = (96, 96)
TRUNKS: dict[str, dict[str, Any]] = {
    'plain': dict(type='mmext.SurfaceConvTrunk', in_channels=8, channels=8, num_convs=2),
    'deeplab': dict(
        type='mmext.SurfaceDeepLabTrunk', in_channels=8, channels=8, num_convs=1, num_groups=4
    ),
    'non_local': dict(
        type='mmext.SurfaceDeepLabTrunk',
        in_channels=8,
        channels=8,
        num_convs=1,
        num_groups=4,
        non_local=True,
    ),
    'hourglass': dict(
        type='mmext.SurfaceHourglassTrunk',
        in_channels=8,
        channels=(8, 16),
        norm_cfg=dict(type='GN', num_groups=4),
    ),
}
CROPS: dict[str, Any] = dict(
    type='mmext.SurfaceCropTask',
    decoder=None,
    margin=0.1,
    roi_extractor=dict(
        type='mmext.SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=24, sampling_ratio=0),
        out_channels=3,
        featmap_strides=[1],
    ),
    trunk=dict(
        type='mmext.SurfaceHourglassTrunk',
        in_channels=3,
        stem_channels=4,
        channels=(8, 16),
        norm_cfg=dict(type='BN'),
    ),
)
"""A task that looks at the pixels of regions."""

TASK: dict[str, Any] = dict(
    type='mmext.DensePoseTask',
    roi_extractor=dict(
        type='mmext.SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
        out_channels=8,
        featmap_strides=[4],
    ),
    decoder=dict(type='mmext.PyramidDecoder', in_channels=8, channels=8, out_channels=8),
    trunk=TRUNKS['plain'],
)


def small_detector(**task: Any) -> Any:
    """A detector of mmdet's with the task, made small."""
    init_default_scope('mmdet')
    model = load_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model
    narrow = dict(base_channels=4, stem_channels=4)
    if task.get('type') == CROPS['type']:
        model.type = 'mmext.PixelRCNN'
    model.backbone.update(depth=18, init_cfg=None, norm_eval=False, **narrow)
    model.neck.update(in_channels=[4, 8, 16, 32], out_channels=8)
    model.rpn_head.update(in_channels=8, feat_channels=8)
    head = model.roi_head
    head.bbox_roi_extractor.out_channels = 8
    head.bbox_head.update(in_channels=8, num_classes=1, fc_out_channels=16)
    model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=4)
    model.test_cfg.rpn.max_per_img = 20
    head.update(type='mmext.TaskRoIHead', tasks=dict(densepose={**copy.deepcopy(TASK), **task}))
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(model))


def pictures(count: int) -> torch.Tensor:
    """``[count, 3, 96, 96]``."""
    return torch.randn(count, 3, *SHAPE, generator=torch.Generator().manual_seed(count))


def sample(
    count: int, *, points: int = 9, masks: bool = True, factor: float = 1.0, seed: int = 0
) -> DetDataSample:
    """``count`` persons with as many points each, all inside of their boxes."""
    generator = torch.Generator().manual_seed(seed)
    original = tuple(round(side / factor) for side in SHAPE)
    made = DetDataSample(
        metainfo=dict(
            img_shape=SHAPE, ori_shape=original, pad_shape=SHAPE, batch_input_shape=SHAPE,
            scale_factor=(factor, factor),
        )
    )  # fmt: skip
    low = torch.rand(count, 2, generator=generator) * 40
    boxes = torch.cat([low, low + 20 + 30 * torch.rand(count, 2, generator=generator)], dim=1)
    places = low[:, None] + torch.rand(count, points, 2, generator=generator) * 19
    iuv = torch.rand(count, points, 3, generator=generator)
    iuv[..., 0] = torch.randint(25, (count, points), generator=generator).float()
    canvases = torch.randint(15, (count, 256, 256), generator=generator).to(torch.uint8)
    if not masks:
        canvases[:] = 255
    made.gt_instances = InstanceData(
        bboxes=boxes,
        labels=torch.zeros(count, dtype=torch.long),
        surface_points=places,
        surface_iuv=iuv,
        surface_masks=canvases,
        surface_frames=torch.stack([boxes[:, :2], boxes[:, [2, 1]], boxes[:, [0, 3]]], dim=1),
    )
    made.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return made
