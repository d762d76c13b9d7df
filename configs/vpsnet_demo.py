"""A small VPSNet that learns the generated clips within minutes on two CPU cores.

Fuse neck and track head on the model of `upsnet_demo.py`; variants without one or both of them
are in `vpsnet/`.
"""

_base_ = './_base_/video_panoptic_demo.py'

model = dict(
    type='mmext.VPSNet',
    data_preprocessor=dict(type='mmext.VideoPairDataPreprocessor'),
    fuse_neck=dict(
        type='mmext.FuseNeck',
        channels=64,
        residual_flow=dict(type='mmext.ResidualFlow', hidden_channels=(32, 32, 16)),
    ),
    optical_flow=dict(type='mmext.DISFlow'),
    track_head=dict(type='mmext.TrackHead', in_channels=64, fc_channels=256, loss_weight=0.5),
    tracker=dict(type='mmext.VPSNetTracker'),
    # no unknown channel, so no instance hidden from it
    panoptic_fusion_head=dict(with_unknown=False, keep_fraction=1.0),
)

# as many pictures per step as UPSNet's demo, in pairs
train_dataloader = dict(batch_size=2)
max_iters = 600
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
