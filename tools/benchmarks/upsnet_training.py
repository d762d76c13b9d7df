"""One training iteration of UPSNet against mmdet's PanopticFPN, milliseconds.

Same backbone, pyramid, RPN and RoI head, same images and ground truth (two instances of one
class overlap, 12 instances each), COCO's classes; forward, backward and step. UPSNet is
timed with plain and with deformable convolutions in its semantic head; all take turns.
"""

import statistics
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
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.configuration import remove_pretrained
from mmext.host import import_mmdet

CONFIGS = Path(__file__).parents[2] / 'configs'
INSTANCES = 12
REFERENCE = 'PanopticFPN'
PLAIN = 'UPSNet, plain convolutions'
DEFORMABLE = 'UPSNet, deformable'
AIMS = {PLAIN: 0.8}  # at most 1.25 times the reference's time


def run(quick: bool) -> list[Row]:
    """Measures an iteration of each model."""
    import_mmdet()
    init_default_scope('mmdet')
    size, repetitions = (256, 3) if quick else (512, 7)
    models = {name: _stepper(config, size) for name, config in _configs().items()}
    times = milliseconds_in_turn(models, repetitions)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return [
        Row(
            f'training iteration of {name}, ResNet-50, {size}x{size}',
            f'mmdet {REFERENCE}',
            medians[name],
            medians[REFERENCE],
            'ms',
            AIMS.get(name),
        )
        for name in (PLAIN, DEFORMABLE)
    ]


def _configs() -> dict[str, Any]:
    """The three models; UPSNet without global context and RoI loss, as PanopticFPN has neither."""
    reference = get_config('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py')
    plain = Config.fromfile(CONFIGS / '_base_/models/upsnet_r50.py')
    deformable = plain.copy()
    plain.merge_from_dict({'model.semantic_head.conv_cfg': dict(type='Conv2d')})
    # the same proposals and samples per RoI
    for config in (plain, deformable):
        config.model.train_cfg = reference.model.train_cfg
        for branch in ('bbox_roi_extractor', 'mask_roi_extractor'):
            roi_layer = reference.model.roi_head[branch].roi_layer
            config.model.roi_head[branch].roi_layer = roi_layer  # the extractor stays ours
    for config in (reference, plain, deformable):
        remove_pretrained(config)
    return {REFERENCE: reference.model, PLAIN: plain.model, DEFORMABLE: deformable.model}


def _stepper(config: Any, size: int) -> Callable[[], None]:
    """A function that trains a fresh model for one iteration."""
    torch.manual_seed(0)
    model = MODELS.build(config)
    model.init_weights()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    images, sample = torch.rand(1, 3, size, size), _sample(size)

    def step() -> None:
        torch.manual_seed(0)
        loss, _ = model.parse_losses(model.loss(images, [sample]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _sample(size: int) -> DetDataSample:
    rng = np.random.default_rng(0)
    seg_map = np.repeat(rng.integers(80, 133, size // 32), 32)[:, None].repeat(size, axis=1)
    masks = np.zeros((INSTANCES, size, size), np.uint8)
    boxes, labels = np.zeros((INSTANCES, 4), np.float32), rng.integers(0, 80, INSTANCES)
    for i in range(INSTANCES):
        (x, y), (w, h) = rng.integers(0, size // 2, 2), rng.integers(size // 16, size // 2, 2)
        masks[i, y : y + h, x : x + w] = 1
        masks[:i, y : y + h, x : x + w] = 0
        seg_map[y : y + h, x : x + w] = labels[i]
        boxes[i] = x, y, x + w, y + h
    meta = dict(img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size))
    more = dict(scale_factor=(1.0, 1.0), batch_input_shape=(size, size), img_id=0)
    sample = DetDataSample(metainfo=meta | more)
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(labels),
        masks=BitmapMasks(masks, size, size),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(seg_map)[None])
    return sample
