"""A small UPSNet that learns the generated panoptic set within minutes on two CPU cores.

Backbone, pyramid, data and schedule are those of `mmdet/panoptic-fpn_demo.py`.
"""

_base_ = [
    './_base_/models/upsnet_demo.py',
    './_base_/datasets/demo_panoptic.py',
    './_base_/schedules/demo.py',
]

max_iters = 800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(
    checkpoint=dict(interval=max_iters), data_check=dict(type='mmext.DataCheckHook')
)
