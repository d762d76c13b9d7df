"""A small YolactEdge that learns the generated set's instances within minutes on two CPU cores."""

_base_ = [
    './_base_/models/yolact-edge_demo.py',
    './_base_/datasets/demo_instances.py',
    './_base_/schedules/demo.py',
]

max_iters = 600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
