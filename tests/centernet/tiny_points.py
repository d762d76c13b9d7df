"""Small models for objects as points, and annotated images for them."""

from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmext.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'


def shrink(config: Config) -> Config:
    """The same architecture with few channels, without weights to load."""
    model = config.model
    model.backbone.pop('init_cfg', None)
    if model.backbone.type == 'mmext.DLA':
        model.backbone.widths = (2, 2, 4, 4, 6, 6)
        model.neck.in_channels = (4, 4, 6, 6)
    elif model.backbone.type == 'ResNet':
        model.backbone.update(base_channels=4, stem_channels=4)
        model.neck.update(
            in_channels=32 if model.backbone.depth < 50 else 128, out_channels=(6, 4, 4)
        )
    else:
        model.backbone.update(stage_channels=(4, 4, 6, 6, 6, 8), feat_channel=4)
    model.bbox_head.update(in_channels=4, feat_channels=6)
    return config


def build(model: Any) -> BaseDetector:
    """With initialised weights, the same on every call."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    built = MODELS.build(model)
    built.init_weights()
    return built


def build_from(file: str, **test_cfg: Any) -> BaseDetector:
    """The shrunk model of a config file."""
    config = shrink(Config.fromfile(CONFIGS / file))
    config.model.test_cfg.update(test_cfg)
    return build(config.model)


def make_sample(
    model: BaseDetector, size: tuple[int, int] = (128, 128), objects: int = 3, seed: int = 0
) -> DetDataSample:
    """An annotated image, with key points if the model has joints."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(objects, 2, generator=generator) * torch.tensor([*size[::-1]]) * 0.6
    boxes = torch.cat([corners, corners + 12 + 30 * torch.rand(objects, 2, generator=generator)], 1)
    head = model.bbox_head
    meta = dict(img_shape=size, ori_shape=size, batch_input_shape=size, pad_shape=size)
    sample = DetDataSample(metainfo=meta | dict(scale_factor=(1.0, 1.0), img_id=seed))
    labels = torch.randint(0, head.num_classes, (objects,), generator=generator)
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    if hasattr(head, 'num_joints'):
        places = torch.rand(objects, head.num_joints, 2, generator=generator)
        sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
        sample.gt_instances.keypoints = boxes[:, None, :2] + places * sides
        sample.gt_instances.keypoints_visible = torch.full((objects, head.num_joints), 2.0)
        pairs = [(i, i + 1) for i in range(1, head.num_joints - 1, 2)]
        sample.set_metainfo(dict(flip_pairs=pairs))
    return sample
