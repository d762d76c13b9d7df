"""A VPSNet small enough to build and run in milliseconds, and clips for it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData

from mmext.demo.video import write_video_dataset

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'upsnet'))
from small_upsnet import build as build_upsnet  # noqa: E402
from small_upsnet import shrink as shrink_upsnet  # noqa: E402

THINGS, STUFF = 5, 5  # the demo's


def shrink(config: Config, channels: int = 8) -> Config:
    """The same architecture with few channels, proposals and RoIs, without weights to load."""
    shrink_upsnet(config, channels)
    config.model.semantic_head.norm_cfg.num_groups = 4
    if config.model.get('fuse_neck'):
        config.model.fuse_neck.channels = channels
    if config.model.get('track_head'):
        config.model.track_head.update(in_channels=channels, fc_channels=16)
    return config


@pytest.fixture(scope='session')
def shrink_config() -> Callable[[Config], Config]:
    """Makes the model of any VPSNet configuration small."""
    return shrink


@pytest.fixture
def vpsnet_config() -> Config:
    """The demo's model with the paper's neck, shrunk, that takes all that an untrained net says."""
    model = shrink(Config.fromfile(ROOT / 'configs/vpsnet_demo.py')).model
    model.fuse_neck.type = 'mmext.FuseNeck'
    model.backbone.update(frozen_stages=-1, norm_eval=False)  # as in training from nothing
    model.test_cfg.panoptic.update(score_thr=0.0, stuff_area_limit=0, max_per_img=8)
    model.test_cfg.rcnn.update(score_thr=0.0)
    return model


def build(config: Config) -> BaseDetector:
    """The model with initialised weights, the same on every call."""
    model = build_upsnet(config)
    if model.fuse_neck is not None:  # as if it had learned, or half of it would not be seen
        torch.nn.init.normal_(model.fuse_neck.residual_flow.conv_flow.weight, std=0.3)
    return model


@pytest.fixture
def build_model() -> Callable[[Config], BaseDetector]:
    """Builds a changed configuration."""
    return build


@pytest.fixture
def vpsnet(vpsnet_config: Config) -> BaseDetector:
    """The small VPSNet, with fuse neck and track head."""
    return build(vpsnet_config)


class Clip(NamedTuple):
    """Frames with their truth."""

    frames: torch.Tensor
    """uint8 [T, 3, H, W], BGR."""
    samples: SampleList
    """With ``gt_instances`` (with ids), ``gt_sem_seg`` and the meta of their place."""


@pytest.fixture(scope='session')
def make_clip() -> Callable[..., Clip]:
    """``make_clip(num_frames=3, size_hw=(64, 96), objects=3, seed=0, video_id='a')``."""
    return clip


def clip(
    num_frames: int = 3,
    size_hw: tuple[int, int] = (64, 96),
    objects: int = 3,
    seed: int = 0,
    video_id: str = 'a',
    first_frame: int = 0,
) -> Clip:
    """Textured rectangles that move over stuff stripes; the last one leaves after frame 1."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    background = rng.integers(0, 255, (height, width, 3))
    textures = rng.integers(0, 255, (objects, height, width, 3))
    classes = rng.integers(0, THINGS, objects)
    corners = rng.integers(0, (width // 2, height // 2), (objects, 2))
    sizes = rng.integers(12, 30, (objects, 2))
    steps = rng.integers(-3, 4, (objects, 2))
    stripes = np.repeat(rng.integers(THINGS, THINGS + STUFF, height // 8 + 1), 8)[:height]
    frames, samples = [], []
    for number in range(num_frames):
        picture, seg_map = background.copy(), np.tile(stripes[:, None], (1, width))
        masks = np.zeros((objects, height, width), np.uint8)
        for i in range(objects - (number > 1)):
            x, y = np.clip(corners[i] + number * steps[i], 0, (width - 13, height - 13))
            rows, columns = slice(y, y + sizes[i, 1]), slice(x, x + sizes[i, 0])
            masks[:i, rows, columns] = 0
            masks[i, rows, columns] = 1
            picture[rows, columns] = textures[
                i, : masks[i, rows, columns].shape[0], : masks[i, rows, columns].shape[1]
            ]
            seg_map[rows, columns] = classes[i]
        frames.append(torch.from_numpy(picture.transpose(2, 0, 1).astype(np.uint8)))
        samples.append(_sample(masks, seg_map, classes, video_id, first_frame + number))
    return Clip(torch.stack(frames), samples)


def _sample(
    masks: np.ndarray, seg_map: np.ndarray, classes: np.ndarray, video_id: str, frame_id: int
) -> DetDataSample:
    shape = seg_map.shape
    visible = masks.any(axis=(1, 2))
    boxes = [
        (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        for rows, columns in (np.nonzero(mask) for mask in masks[visible])
    ]
    sample = DetDataSample(
        metainfo=dict(
            img_id=frame_id,
            img_shape=shape,
            ori_shape=shape,
            scale_factor=(1.0, 1.0),
            video_id=video_id,
            frame_id=frame_id,
        )
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.from_numpy(classes[visible]),
        masks=BitmapMasks(masks[visible], *shape),
        instances_ids=torch.from_numpy(np.flatnonzero(visible) + 7),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(seg_map.astype(np.uint8))[None])
    return sample


@pytest.fixture(scope='session')
def make_pairs() -> Callable[[Clip, list[tuple[int, int]]], dict]:
    """``make_pairs(clip, [(key, reference), …])``: a batch as the data loader collates it."""
    return pairs


def pairs(of: Clip, numbers: list[tuple[int, int]]) -> dict:
    """Key frames with reference frames of a clip, as a training batch."""
    samples = []
    for key, reference in numbers:
        sample = of.samples[key].clone()
        truth = of.samples[reference].gt_instances
        sample.ref_gt_instances = InstanceData(
            bboxes=truth.bboxes, labels=truth.labels, instances_ids=truth.instances_ids
        )
        sample.set_metainfo(dict(ref_frame_id=of.samples[reference].frame_id))
        samples.append(sample)
    inputs = dict(
        img=[of.frames[key] for key, _ in numbers],
        ref_img=[of.frames[reference] for _, reference in numbers],
    )
    return dict(inputs=inputs, data_samples=samples)


@pytest.fixture(scope='session')
def video_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated video set; no test changes it."""
    root = tmp_path_factory.mktemp('video') / 'set'
    write_video_dataset(root, num_train=4, num_val=4, image_size=(96, 64), seed=3)
    return root
