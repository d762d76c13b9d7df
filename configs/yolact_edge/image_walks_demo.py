"""The demo of YolactEdge on videos, first stage: a small image model on frames."""

_base_ = [
    '../_base_/models/yolact-edge_walks_demo.py',
    '../_base_/datasets/demo_walks.py',
    '../_base_/schedules/demo_walks.py',
]

train_dataloader = dict(dataset=dict(reference_range=None))
val_dataloader = dict(batch_size=4, dataset=dict(key_passes=1))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-3))
max_iters = 3200
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
