"""Panoptic models small enough to build and run in milliseconds, for the tests of two rooms."""

import torch
from mmdet.models.detectors import BaseDetector
from mmengine.config import Config

from mmext.registry import MODELS


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


def build(config: Config) -> BaseDetector:
    """The model with initialised weights, the same on every call."""
    torch.manual_seed(0)
    model = MODELS.build(config)
    model.init_weights()
    return model
