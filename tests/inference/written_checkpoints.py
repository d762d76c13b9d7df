"""Small detectors with random weights as checkpoints, for what reads and writes whole files."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmext.benchmark.inference import calibrate
from mmext.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
CLASSES = ('ball', 'crate', 'tree', 'mushroom', 'fish', 'sky', 'hill', 'grass', 'water', 'path')

_PANOPTIC = {
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.neck.in_channels': [8, 16, 32, 64],
    'model.neck.out_channels': 8,
    'model.rpn_head.in_channels': 8,
    'model.rpn_head.feat_channels': 8,
    'model.roi_head.bbox_roi_extractor.out_channels': 8,
    'model.roi_head.bbox_head.in_channels': 8,
    'model.roi_head.bbox_head.conv_out_channels': 8,
    'model.roi_head.bbox_head.fc_out_channels': 16,
    'model.roi_head.mask_roi_extractor.out_channels': 8,
    'model.roi_head.mask_head.in_channels': 8,
    'model.roi_head.mask_head.conv_out_channels': 8,
    'model.roi_head.mask_head.num_convs': 1,
    'model.semantic_head.in_channels': 8,
    'model.semantic_head.inner_channels': 8,
    # random weights are sure of nothing
    'model.test_cfg.rpn.max_per_img': 40,
    'model.test_cfg.rcnn.score_thr': 0.0,
    'model.test_cfg.panoptic.score_thr': 0.15,
}
CHANGES: dict[str, dict[str, Any]] = {
    'upsnet_demo.py': _PANOPTIC,
    'vpsnet_demo.py': {
        **_PANOPTIC,
        'model.fuse_neck.channels': 8,
        'model.track_head.in_channels': 8,
        'model.track_head.fc_channels': 16,
    },
    # deformable convolutions with masks, and few operations: a graph takes time for each
    'centernet_pose_demo.py': {
        'model.backbone': dict(
            _delete_=True,
            type='ResNet',
            depth=18,
            base_channels=4,
            stem_channels=4,
            out_indices=(3,),
            norm_cfg=dict(type='BN'),
        ),
        'model.neck': dict(
            _delete_=True,
            type='mmext.CenterNetDeconvNeck',
            in_channels=32,
            out_channels=(6, 4, 4),
        ),
        'model.bbox_head.in_channels': 4,
        'model.bbox_head.feat_channels': 6,
    },
    'centernet_triplet_demo.py': {
        'model.backbone.stage_channels': (8, 8, 8, 12),
        'model.backbone.feat_channel': 8,
        'model.bbox_head.in_channels': 8,
        'model.bbox_head.pool_channels': 4,
        'model.test_cfg.max_tag_distance': 10.0,
    },
}


def write_checkpoint(name: str, path: Path, **changes: Any) -> Config:
    """Write a shrunk detector of a config file with random weights; returns its config.

    Weights are larger than at the start of a training, so that outputs differ from place to place.
    """
    config = Config.fromfile(CONFIGS / name)
    config.merge_from_dict({**CHANGES[name], **changes})
    config.model.backbone.pop('init_cfg', None)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.xavier_normal_(module.weight, gain=1.4)
    images = torch.nn.functional.interpolate(torch.randn(2, 3, 16, 16), scale_factor=8.0)
    calibrate(model, lambda: model.extract_feat(images))
    if 'triplet' in name:
        _excite(model, images)
    classes = config.test_dataloader.dataset.get('metainfo', {}).get('classes', CLASSES)
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(classes=tuple(classes)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return config


@torch.no_grad()
def _excite(model: Any, images: torch.Tensor) -> None:
    """Scale the maps of keypoint triplets as trained ones: boxes are found, tags are near."""
    branches = model.eval().bbox_head.stacks[-1]
    maps = branches(model.extract_feat(images)[-1])._asdict()
    for part, values in maps.items():
        layer = getattr(branches, part)[-1]
        scale = (2.0 if 'heat' in part else 0.1) / values.std((0, 2, 3))
        layer.weight *= scale[:, None, None, None]
        layer.bias.copy_((layer.bias - values.mean((0, 2, 3))) * scale)
