"""A first training on own photos, on a CPU: objects as points, small, in a quarter of an hour.

`mmext new centernet_small --train ... --val ... --photos ...` puts your files in the place of COCO.
The network is that of `centernet.py` at half the widths, without deformable convolutions, from
random weights; the longer side of a photo, of any size, becomes 192 px. For some dozens of photos
of a few kinds of objects that are not tiny. 1500 steps of 8 photos are 300 epochs of 40.
"""

_base_ = [
    './_base_/models/centernet_dla34.py',
    './_base_/datasets/coco_points_small.py',
    './_base_/schedules/demo.py',
]

max_iters = 1500

model = dict(
    backbone=dict(widths=(8, 16, 32, 64, 128, 256)),
    neck=dict(in_channels=(32, 64, 128, 256), conv_cfg=None),
    bbox_head=dict(in_channels=32, feat_channels=64),
    test_cfg=dict(flip=False),
)

optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_iters=max_iters, val_interval=500)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    checkpoint=dict(interval=500, max_keep_ckpts=1, save_best='coco/bbox_mAP_50', rule='greater')
)
