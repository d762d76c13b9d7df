"""UPSNet on single frames of the clips, from random weights: what the video demos begin with."""

_base_ = '../vpsnet_demo.py'

model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False),
    fuse_neck=None,
    track_head=None,
    tracker=None,
)
load_from = None

train_dataloader = dict(batch_size=4, dataset=dict(reference_range=0))
auto_scale_lr = dict(base_batch_size=4)
max_iters = 1000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=50,
        end=max_iters,
        T_max=max_iters - 50,
        eta_min=1e-5,
    ),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
