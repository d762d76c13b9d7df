"""The detectors that mixed precision is promised for, with few channels, and an image for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData

import mmext

CONFIGS = Path(mmext.__file__).parents[1] / 'configs'
SIZE, CLASSES = 64, 5  # the last side and number of classes; labels of the demo data set
WIDTH = 8  # channels


def _two_stage(config: Config, classes: int) -> None:
    stages = [WIDTH * 2**i * (1 if config.model.backbone.depth < 50 else 4) for i in range(4)]
    config.merge_from_dict(
        {
            'model.backbone.base_channels': WIDTH,
            'model.backbone.stem_channels': WIDTH,
            'model.neck.in_channels': stages,
            'model.neck.out_channels': WIDTH,
            'model.rpn_head.in_channels': WIDTH,
            'model.rpn_head.feat_channels': WIDTH,
            'model.roi_head.bbox_roi_extractor.out_channels': WIDTH,
            'model.roi_head.bbox_head.in_channels': WIDTH,
            'model.roi_head.bbox_head.fc_out_channels': 16,
            'model.roi_head.bbox_head.num_classes': classes,
            'model.roi_head.mask_roi_extractor.out_channels': WIDTH,
            'model.roi_head.mask_head.in_channels': WIDTH,
            'model.roi_head.mask_head.conv_out_channels': WIDTH,
            'model.roi_head.mask_head.num_convs': 1,
            'model.roi_head.mask_head.num_classes': classes,
            'model.train_cfg.rpn_proposal.max_per_img': 50,
            'model.train_cfg.rcnn.sampler.num': 32,
            'model.test_cfg.rpn.max_per_img': 20,
            'model.test_cfg.rcnn.score_thr': 0.01,
        }
    )


def _panoptic(config: Config) -> Config:
    config.merge_from_dict({'model.backbone.depth': 18})
    _two_stage(config, CLASSES)
    config.merge_from_dict(
        {
            'model.semantic_head.in_channels': WIDTH,
            'model.semantic_head.inner_channels': WIDTH,
            'model.test_cfg.panoptic.stuff_area_limit': 16,
        }
    )
    return config


def _upsnet() -> Config:
    config = _panoptic(Config.fromfile(CONFIGS / '_base_/models/upsnet_r50.py'))
    config.model.update(num_things_classes=CLASSES, num_stuff_classes=CLASSES)
    return config


def _panoptic_fpn() -> Config:
    config = _panoptic(get_config('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'))
    for head in (config.model.semantic_head, config.model.panoptic_fusion_head):
        head.update(num_things_classes=CLASSES, num_stuff_classes=CLASSES)
    config.model.semantic_head.norm_cfg.num_groups = 2
    return config


def _mask_rcnn() -> Config:
    config = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
    config.merge_from_dict({'model.backbone.depth': 18})
    _two_stage(config, CLASSES)
    return config


def _centernet() -> Config:
    config = get_config('mmdet::centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py')
    config.merge_from_dict(
        {
            'model.backbone.base_channels': WIDTH,
            'model.backbone.stem_channels': WIDTH,
            'model.neck.in_channels': 8 * WIDTH,
            'model.neck.num_deconv_filters': (WIDTH, WIDTH, WIDTH),
            'model.bbox_head.in_channels': WIDTH,
            'model.bbox_head.feat_channels': WIDTH,
            'model.bbox_head.num_classes': CLASSES,
        }
    )
    return config


def _cornernet() -> Config:
    config = get_config('mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py')
    config.merge_from_dict(
        {
            'model.backbone.downsample_times': 2,
            'model.backbone.stage_channels': [WIDTH] * 3,
            'model.backbone.stage_blocks': [1] * 3,
            'model.backbone.feat_channel': WIDTH,
            'model.bbox_head.in_channels': WIDTH,
            'model.bbox_head.num_classes': CLASSES,
        }
    )
    return config


def _one_stage(config: Config) -> Config:
    config.merge_from_dict(
        {
            'model.backbone.depth': 18,
            'model.backbone.base_channels': WIDTH,
            'model.backbone.stem_channels': WIDTH,
            'model.neck.in_channels': [WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH],
            'model.neck.out_channels': WIDTH,
            'model.bbox_head.in_channels': WIDTH,
            'model.bbox_head.feat_channels': WIDTH,
            'model.bbox_head.num_classes': CLASSES,
            'model.test_cfg.score_thr': 0.0,
        }
    )
    return config


def _yolact() -> Config:
    config = _one_stage(get_config('mmdet::yolact/yolact_r50_1xb8-55e_coco.py'))
    config.merge_from_dict(
        {'model.mask_head.in_channels': WIDTH, 'model.mask_head.num_classes': CLASSES}
    )
    return config


def _yolact_edge() -> Config:
    config = Config.fromfile(CONFIGS / 'yolact_edge_demo.py')
    config.merge_from_dict(
        {
            'model.backbone.base_channels': WIDTH,
            'model.backbone.stem_channels': WIDTH,
            'model.neck.in_channels': [WIDTH, 2 * WIDTH, 4 * WIDTH],
            'model.neck.out_channels': WIDTH,
            'model.bbox_head.in_channels': WIDTH,
            'model.bbox_head.feat_channels': WIDTH,
            'model.bbox_head.num_classes': CLASSES,
            'model.mask_head.in_channels': WIDTH,
            'model.mask_head.num_classes': CLASSES,
            'model.test_cfg.score_thr': 0.0,
        }
    )
    return config


def _retinanet() -> Config:
    return _one_stage(get_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'))


BUILDERS: dict[str, Callable[[], Config]] = {
    'UPSNet': _upsnet,
    'PanopticFPN': _panoptic_fpn,
    'MaskRCNN': _mask_rcnn,
    'CenterNet': _centernet,
    'CornerNet': _cornernet,
    'YOLACT': _yolact,
    'YolactEdge': _yolact_edge,
    'RetinaNet': _retinanet,
}


def build_small(name: str) -> BaseModel:
    """A model with initialised weights, the same on every call."""
    config = BUILDERS[name]()
    config.model.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        model = MODELS.build(config.model)
        model.init_weights()
    return model


def make_sample(instances: int = 3) -> DetDataSample:
    """An annotated image: rectangles of random classes on a stuff class."""
    rng = np.random.default_rng(0)
    masks = np.zeros((instances, SIZE, SIZE), dtype=np.uint8)
    boxes = np.zeros((instances, 4), dtype=np.float32)
    labels = rng.integers(0, CLASSES, instances)
    seg_map = np.full((SIZE, SIZE), CLASSES + 1, dtype=np.uint8)
    for i in range(instances):
        x, y = rng.integers(0, SIZE // 2, 2)
        w, h = rng.integers(SIZE // 4, SIZE // 2, 2)
        masks[:i, y : y + h, x : x + w] = 0
        masks[i, y : y + h, x : x + w] = 1
        seg_map[y : y + h, x : x + w] = labels[i]
        boxes[i] = x, y, x + w, y + h
    shape = (SIZE, SIZE)
    meta: dict[str, Any] = dict(img_shape=shape, ori_shape=shape, batch_input_shape=shape)
    meta |= dict(pad_shape=shape, scale_factor=(1.0, 1.0), img_id=0, border=np.zeros(4))
    sample = DetDataSample(metainfo=meta)
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(labels),
        masks=BitmapMasks(masks, SIZE, SIZE),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(seg_map)[None])
    return sample


def make_batch() -> dict[str, Any]:
    """What a data loader yields: one image."""
    pixels = torch.randint(0, 256, (3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    return {'inputs': [pixels.to(torch.uint8)], 'data_samples': [make_sample()]}
