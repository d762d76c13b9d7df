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

sys.path.insert(0, str(Path(__file__).parent))  # the modules that tests of this folder share
from small_upsnet import build, shrink

ROOT = Path(__file__).parents[2]
THINGS, STUFF = 5, 5  # the demo's


@pytest.fixture(scope='session')
def shrink_config() -> Callable[[Config], Config]:
    """Makes the model of any UPSNet configuration small."""
    return shrink


@pytest.fixture
def upsnet_config() -> Config:
    """The demo's model, shrunk; its classes are those of the demo."""
    return shrink(Config.fromfile(ROOT / 'configs/upsnet_demo.py')).model


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
