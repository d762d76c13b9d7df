"""mmdet's Panoptic FPN on the generated panoptic set: the control for `upsnet_demo.py`."""

_base_ = [
    '../_base_/models/panoptic-fpn_demo.py',
    '../_base_/datasets/demo_panoptic.py',
    '../_base_/schedules/demo.py',
]

max_iters = 800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
val_evaluator = dict(_delete_=True, type='mmext.PanopticQualityMetric')
test_evaluator = val_evaluator
