"""Small models and samples for the tests of this folder; a plain module, for parameters too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmext.configuration import load_config
from mmext.registry import MODELS

ROOT = Path(__file__).parents[2]
CLASSES, WIDTH = 5, 8
Box = tuple[int, int, int, int]


def small_model(**changes: Any) -> BaseDetector:
    """The demo's detector with 8 channels and random weights."""
    return _build(_narrow('yolact_edge_demo.py'), changes)


def small_video_model(**changes: Any) -> BaseDetector:
    """The demo's video detector with 8 channels and random weights."""
    config = _narrow('yolact_edge_video_demo.py')
    config.update(type='mmext.VideoYolactEdge')
    config.propagation.update(channels=WIDTH, encoded_channels=4)
    return _build(config, changes)


def _narrow(file: str) -> Any:
    config = Config.fromfile(ROOT / 'configs' / file).model
    config.backbone.update(base_channels=WIDTH, stem_channels=WIDTH)
    config.neck.update(in_channels=[WIDTH * n for n in (1, 2, 4)], out_channels=WIDTH)
    config.bbox_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    config.mask_head.update(
        in_channels=WIDTH, proto_channels=(WIDTH, None, 32), proto_kernel_sizes=(3, -2, 1)
    )
    return config


def host_model(**changes: Any) -> BaseDetector:
    """Mmdet's YOLACT with 8 channels and random weights, as its config has it elsewhere."""
    config = load_config('mmdet::yolact/yolact_r50_1xb8-55e_coco.py').model
    config.backbone.update(depth=18, base_channels=WIDTH, stem_channels=WIDTH, init_cfg=None)
    config.neck.update(in_channels=[WIDTH * n for n in (1, 2, 4, 8)], out_channels=WIDTH)
    config.bbox_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    config.mask_head.update(in_channels=WIDTH)
    return _build(config, changes)


def _build(config: Any, changes: dict[str, Any]) -> BaseDetector:
    _merge(config, changes)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config)
    model.init_weights()
    return model


def _merge(config: Any, changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if key == 'nms':  # another kind has other arguments
            config.pop(key)
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value


def make_sample(
    boxes: Sequence[Box],
    labels: Sequence[int],
    size: tuple[int, int],
    crowds: Sequence[Box] = (),
    ori_size: tuple[int, int] | None = None,
) -> DetDataSample:
    """An image of (height, width) whose objects are full boxes."""
    masks = np.zeros((len(boxes), *size), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    ori_size = ori_size or size
    scale = (size[1] / ori_size[1], size[0] / ori_size[0])
    meta = dict(img_shape=size, ori_shape=ori_size, scale_factor=scale, img_id=0)
    sample = DetDataSample(metainfo=meta)
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=BitmapMasks(masks, *size),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.tensor(crowds, dtype=torch.float32).reshape(-1, 4),
        labels=torch.zeros(len(crowds), dtype=torch.int64),
    )
    return sample
