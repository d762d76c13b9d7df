"""A tiny data set, a tiny detector and a trained checkpoint of it, shared by the tests of tools."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import programs
import pytest
import torch
from mmdet.visualization import DetLocalVisualizer
from mmengine.logging import MessageHub, MMLogger

TOOLS = Path(__file__).parents[2] / 'tools'
CLASSES = ('square', 'disc')
NUM_IMAGES = 6
SIDE_PX = 64

CONFIG = """
_base_ = 'mmdet::_base_/default_runtime.py'
data_root = '{data}/'
classes = ('square', 'disc')
channels = 16
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3),
    backbone=dict(
        type='ResNet', depth=18, base_channels=8, num_stages=2, out_indices=(0, 1),
        strides=(1, 2), dilations=(1, 1), norm_eval=False, style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='{data}/backbone.pth')),
    neck=dict(type='FPN', in_channels=[8, 16], out_channels=channels, num_outs=2),
    bbox_head=dict(
        type='RetinaHead', num_classes=2, in_channels=channels, feat_channels=channels,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
            strides=[4, 8]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss')),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, ignore_iof_thr=-1),
        sampler=dict(type='PseudoSampler'), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(nms_pre=50, min_bbox_size=0, score_thr=0.01,
                  nms=dict(type='nms', iou_threshold=0.5), max_per_img=10))
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                                          'scale_factor')),
]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CocoDataset', data_root=data_root, ann_file='annotations.json',
                 metainfo=dict(classes=classes), data_prefix=dict(img='images/'),
                 pipeline=[*pipeline[:2], dict(type='Resize', scale=(64, 64)), pipeline[2]]))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CocoDataset', data_root=data_root, ann_file='annotations.json',
                 metainfo=dict(classes=classes), data_prefix=dict(img='images/'), test_mode=True,
                 pipeline=[pipeline[0], dict(type='Resize', scale=(64, 64)), *pipeline[1:]]))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'annotations.json', metric='bbox')
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=5))
"""


@pytest.fixture(autouse=True)
def fresh_run() -> None:
    """Forget the visualizer, logger and message hub of the run before, as a new process would.

    mmengine keeps them by name, and two runs may begin in the same second.
    """
    torch.set_num_threads(1)
    forget_runs()


@pytest.fixture(scope='session')
def tool() -> Callable[[str], ModuleType]:
    """Load a program of tools/ as a module."""
    return programs.tool


@pytest.fixture(scope='session')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of one square and one disc each, and COCO annotations."""
    folder = tmp_path_factory.mktemp('tiny_data')
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(NUM_IMAGES):
        picture = rng.integers(0, 60, (SIDE_PX, SIDE_PX, 3), np.uint8)
        for category, left in ((11, 4), (22, 36)):
            x, y, side = left + int(rng.integers(0, 6)), int(rng.integers(0, 40)), 20
            if category == 11:
                picture[y : y + side, x : x + side] = (40, 60, 230)
            else:
                cv2.circle(picture, (x + side // 2, y + side // 2), side // 2, (60, 220, 90), -1)
            annotations.append(
                dict(id=len(annotations) + 1, image_id=number, category_id=category,
                     bbox=[x, y, side, side], area=side * side, iscrowd=0)
            )  # fmt: skip
        name = f'{number:04d}.png'
        cv2.imwrite(str(folder / 'images' / name), picture)
        images.append(dict(id=number, file_name=name, height=SIDE_PX, width=SIDE_PX))
    categories = [dict(id=11, name='square'), dict(id=22, name='disc')]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'annotations.json').write_text(json.dumps(content))
    return folder


@pytest.fixture(scope='session')
def config_file(data: Path) -> Path:
    """The config of a tiny RetinaNet whose pretrained backbone does not exist."""
    path = data / 'tiny.py'
    path.write_text(CONFIG.format(data=data))
    return path


@pytest.fixture(scope='session')
def call(tool: Callable[[str], ModuleType]) -> Callable[..., None]:
    """Call a tool's main in this process: ``call('train', config, '--seed', 0)``."""

    def run(name: str, *arguments: object) -> None:
        tool(name).main([str(argument) for argument in arguments])

    return run


@pytest.fixture(scope='session')
def trained(
    config_file: Path, call: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The work directory of a finished training of two epochs."""
    torch.set_num_threads(1)
    forget_runs()
    work_dir = tmp_path_factory.mktemp('trained')
    call('train', config_file, '--work-dir', work_dir, '--no-pretrained', '--seed', 0)
    return work_dir


@pytest.fixture(scope='session')
def as_new_process() -> Callable[[], None]:
    """What :func:`fresh_run` does before a test, for fixtures that live longer."""
    return forget_runs


def forget_runs() -> None:
    """Empty mmengine's tables of named objects."""
    for kind in (DetLocalVisualizer, MMLogger, MessageHub):
        kind._instance_dict.clear()


@pytest.fixture(scope='session')
def tools_folder() -> Path:
    """Where the programs are."""
    return TOOLS
