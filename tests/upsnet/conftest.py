"""A UPSNet small enough to build and run in milliseconds, and data samples for it."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData

from mmext.registry import MODELS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # the modules that tests of this folder share
THINGS, STUFF = 5, 5  # the demo's


def shrink(config: Config, channels: int = 8) -> Config:
    """The same architecture with few channels, proposals and RoIs, without weights to load."""
    stages = [channels * 2**i * (1 if config.model.backbone.depth < 50 else 4) for i in range(4)]
    config.merge_from_dict(
        {
            'model.backbone.base_channels': channels,
            'model.backbone.stem_channels': channels,
            'model.backbone.init_cfg': None,
            'model.neck.in_channels': stages,
            'model.neck.out_channels': channels,
            'model.rpn_head.in_channels': channels,
            'model.rpn_head.feat_channels': channels,
            'model.roi_head.bbox_roi_extractor.out_channels': channels,
            'model.roi_head.bbox_head.in_channels': channels,
            'model.roi_head.bbox_head.conv_out_channels': channels,
            'model.roi_head.bbox_head.fc_out_channels': 16,
            'model.roi_head.mask_roi_extractor.out_channels': channels,
            'model.roi_head.mask_head.in_channels': channels,
            'model.roi_head.mask_head.conv_out_channels': channels,
            'model.roi_head.mask_head.num_convs': 1,
            'model.semantic_head.in_channels': channels,
            'model.semantic_head.inner_channels': channels,
            'model.train_cfg.rpn_proposal.max_per_img': 50,
            'model.train_cfg.rcnn.sampler.num': 32,
            'model.test_cfg.rpn.max_per_img': 50,
        }
    )
    return config


@pytest.fixture(scope='session')
def shrink_config() -> Callable[[Config], Config]:
    """Makes the model of any UPSNet configuration small."""
    return shrink


@pytest.fixture
def upsnet_config() -> Config:
    """The demo's model, shrunk; its classes are those of the demo."""
    return shrink(Config.fromfile(ROOT / 'configs/upsnet_demo.py')).model


def build(config: Config) -> BaseDetector:
    """The model with initialised weights, the same on every call."""
    torch.manual_seed(0)
    model = MODELS.build(config)
    model.init_weights()
    return model


@pytest.fixture
def upsnet(upsnet_config: Config) -> BaseDetector:
    """The small UPSNet."""
    return build(upsnet_config)


@pytest.fixture
def build_model() -> Callable[[Config], BaseDetector]:
    """Builds a changed configuration."""
    return build


@pytest.fixture
def sample_factory() -> Callable[..., DetDataSample]:
    """Makes annotated images: ``sample_factory(size=64, instances=3, seed=0)``."""
    return make_sample


def make_sample(size: int = 64, instances: int = 3, seed: int = 0) -> DetDataSample:
    """An annotated image: rectangles of random classes on stuff stripes, some void."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(THINGS, THINGS + STUFF, size // 16), 16)[:, None]
    seg_map = np.broadcast_to(labels, (size, size)).astype(np.uint8)
    seg_map[: size // 8] = 255
    masks = np.zeros((instances, size, size), dtype=np.uint8)
    boxes = np.zeros((instances, 4), dtype=np.float32)
    classes = rng.integers(0, THINGS, instances)
    for i in range(instances):
        x, y = rng.integers(0, size // 2, 2)
        w, h = rng.integers(size // 8, size // 2, 2)
        masks[:i, y : y + h, x : x + w] = 0  # later ones occlude
        masks[i, y : y + h, x : x + w] = 1
        seg_map[y : y + h, x : x + w] = classes[i]
        boxes[i] = x, y, x + w, y + h
    shape = (size, size)
    meta = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0), batch_input_shape=shape)
    sample = DetDataSample(metainfo=meta | dict(img_id=seed, pad_shape=shape))
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(classes),
        masks=BitmapMasks(masks, size, size),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(seg_map)[None])
    return sample
