"""A small VPSNet that learns the generated clips within minutes on two CPU cores.

In two steps, as the paper's: an image model on single frames, `vpsnet/upsnet_video_demo.py`, whose
backbone stays as it is while fuse neck and track head learn from pairs. Variants without one or
both of them, trained alike, are in `vpsnet/`.

    python tools/train.py configs/vpsnet/upsnet_video_demo.py
    python tools/train.py configs/vpsnet_demo.py
"""

_base_ = [
    './_base_/models/vpsnet_demo.py',
    './_base_/datasets/demo_video.py',
    './_base_/schedules/demo.py',
]

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
    dict(_base_.param_scheduler[0], end=40),
    dict(_base_.param_scheduler[1], begin=40, end=max_iters),
]
default_hooks = dict(
    checkpoint=dict(interval=max_iters), data_check=dict(type='mmext.DataCheckHook')
)
