"""A triplet detector small enough to run in milliseconds, and annotated images for it."""

from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmext.registry import MODELS

CLASSES = 3


def tiny_config(stacks: int = 2, **head: Any) -> dict:
    return dict(
        type='mmext.CenterNetTripletDetector',
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor', mean=[0] * 3, std=[255] * 3),
        backbone=dict(
            type='mmext.HourglassNet',
            downsample_times=2,
            num_stacks=stacks,
            stage_channels=[8, 8, 12],
            stage_blocks=[1, 1, 1],
            feat_channel=8,
        ),
        bbox_head=dict(
            type='mmext.CenterNetTripletHead',
            num_classes=CLASSES,
            in_channels=8,
            num_stacks=stacks,
            pool_channels=4,
            **head,
        ),
    )


def build_tiny(stacks: int = 2, seed: int = 0, test_cfg: dict | None = None, **head: Any):
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(dict(tiny_config(stacks, **head), test_cfg=test_cfg))
    model.init_weights()
    return model


def excite(model: Any, seed: int = 0) -> None:
    """Statistics and scales of a trained net, so that it finds many boxes in noise."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    images = torch.randn(4, 3, 64, 64, generator=generator)
    with torch.no_grad():
        (stacks,) = model.train().bbox_head(model.extract_feat(images))
        for branches, maps in zip(model.bbox_head.stacks, stacks, strict=True):
            for name, values in maps._asdict().items():
                conv = getattr(branches, name)[-1]
                wanted = 2.0 if 'heat' in name else 0.2
                scale = wanted / values.std((0, 2, 3))
                conv.weight *= scale[:, None, None, None]
                conv.bias -= values.mean((0, 2, 3))
                conv.bias *= scale
    model.eval()


def make_sample(
    boxes: int = 3, size: tuple[int, int] = (64, 64), seed: int = 0, **meta: Any
) -> DetDataSample:
    generator = torch.Generator().manual_seed(seed)
    limits = torch.tensor([size[1], size[0]])
    corners = torch.rand(boxes, 2, 2, generator=generator) * limits
    xyxy = torch.cat((corners.amin(1), corners.amax(1)), 1)
    shape = dict(img_shape=size, ori_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0))
    sample = DetDataSample(metainfo={**shape, 'img_id': seed, **meta})
    labels = torch.randint(0, CLASSES, (boxes,), generator=generator)
    sample.gt_instances = InstanceData(bboxes=xyxy, labels=labels)
    return sample
