"""Boxes, masks and joints of generated persons, learned together in one two-stage detector.

`python -m mmext.demo figures --train 2400 --out data/demo_figures` writes the data set.
"""

_base_ = [
    '../_base_/models/keypoint-rcnn_demo.py',
    '../_base_/datasets/demo_figures_pose.py',
    '../_base_/schedules/demo.py',
]

max_iters = 1000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
