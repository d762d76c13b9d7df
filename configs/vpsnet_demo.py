"""A small VPSNet that learns the generated clips within minutes on two CPU cores.

In two steps, as the paper's: an image model on single frames, `vpsnet/upsnet_video_demo.py`, whose
backbone stays as it is while fuse neck and track head learn from pairs. Variants without one or
both of them, trained alike, are in `vpsnet/`.

    python tools/train.py configs/vpsnet/upsnet_video_demo.py
    python tools/train.py configs/vpsnet_demo.py
"""

_base_ = './_base_/video_panoptic_demo.py'

model = dict(
    backbone=dict(frozen_stages=4, norm_eval=True),
    fuse_neck=dict(
        type='mmext.GatedFuseNeck',  # ours; the paper's: vpsnet/vpsnet_paper_fuse_demo.py
        channels=64,
        residual_flow=dict(type='mmext.ResidualFlow', hidden_channels=(32, 32, 16)),
    ),
    track_head=dict(type='mmext.TrackHead', in_channels=64, fc_channels=256, loss_weight=0.5),
    tracker=dict(type='mmext.VPSNetTracker', iou_weight=8.0),  # chosen on clips of another seed
)

load_from = 'work_dirs/upsnet_video_demo/iter_1000.pth'

# as many pictures per step as UPSNet's demo, in pairs
train_dataloader = dict(batch_size=2)
# products of two embeddings run away at AdamW's full rate: sigmoids close, softmaxes are too sure
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'track_head': dict(lr_mult=0.1),
            'fuse_neck.attention.embed': dict(lr_mult=0.1),
        }
    )
)
auto_scale_lr = dict(base_batch_size=2)
max_iters = 600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=40),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=40, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
