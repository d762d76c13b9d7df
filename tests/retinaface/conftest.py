"""A RetinaFace small enough to build and run in milliseconds, and annotated images for it."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmext.registry import MODELS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # the modules that tests of this folder share

TRIANGLES = [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5)]
ATTRIBUTES = [
    dict(name='glasses', values=('no', 'yes'), kind='binary'),
    dict(name='hair', values=('fair', 'dark', 'none'), kind='categorical', weight=2.0),
    dict(name='age', values=('young', 'grown', 'old', 'very old'), kind='ordinal'),
]


@pytest.fixture
def retinaface_config() -> ConfigDict:
    """The model of the small configuration with mesh and attributes, of a few channels."""
    config = Config.fromfile(ROOT / 'configs/_base_/models/retinaface_mobilenet025.py').model
    config.backbone.widen_factor = 1 / 16
    config.neck.update(in_channels=[16, 32, 64], out_channels=16)
    config.bbox_head.update(
        in_channels=16,
        attributes=dict(table=ATTRIBUTES, hidden_channels=8),
        mesh=dict(num_vertices=6, triangles=TRIANGLES, hidden_channels=8),
    )
    return config


def build(config: ConfigDict) -> BaseDetector:
    """The model with initialised weights, the same on every call."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config))
    model.init_weights()
    return model


@pytest.fixture
def build_model() -> Callable[[ConfigDict], BaseDetector]:
    """Builds a changed configuration."""
    return build


@pytest.fixture
def retinaface(retinaface_config: ConfigDict) -> BaseDetector:
    """The small RetinaFace with all tasks."""
    return build(retinaface_config)


@pytest.fixture
def face_sample() -> Callable[..., DetDataSample]:
    """Makes annotated images: ``face_sample(faces=3, size=96, seed=0)``."""
    return make_sample


def make_sample(faces: int = 3, size: int = 96, seed: int = 0, **fields: Any) -> DetDataSample:
    """An image with random faces, all of whose details are known; ``fields`` replace some."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    corners, sides = rand(faces, 2) * size / 2, (0.15 + 0.3 * rand(faces, 2)) * size
    inside = rand(faces, 5, 2) * sides[:, None] + corners[:, None]
    mesh = torch.cat((rand(faces, 6, 2) * sides[:, None] + corners[:, None], rand(faces, 6, 1)), -1)
    shape = (size, size)
    meta = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0), batch_input_shape=shape)
    sample = DetDataSample(metainfo=meta | dict(img_id=seed, pad_shape=shape))
    values = dict(
        bboxes=HorizontalBoxes(torch.cat((corners, corners + sides), 1)),
        labels=torch.zeros(faces, dtype=torch.long),
        keypoints=inside,
        keypoints_visible=torch.full((faces, 5), 2.0),
        attributes=(rand(faces, 3) * torch.tensor([2, 3, 4])).long(),
        mesh=mesh,
        mesh_valid=torch.ones(faces, dtype=torch.bool),
    )
    sample.gt_instances = InstanceData(**(values | fields))
    sample.ignored_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.zeros(0, 4)), labels=torch.zeros(0, dtype=torch.long)
    )
    return sample
