"""Objects as points, made small: learns the generated boxes within minutes on two CPU cores.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set; its instances are
the boxes. The network is that of `centernet.py` at half the widths, without deformable
convolutions, from random initialisation.
"""

_base_ = [
    './_base_/models/centernet_dla34.py',
    './_base_/datasets/demo_points.py',
    './_base_/schedules/demo.py',
]

model = dict(
    backbone=dict(widths=(8, 16, 32, 64, 128, 256)),
    neck=dict(in_channels=(32, 64, 128, 256), conv_cfg=None),
    bbox_head=dict(num_classes=5, in_channels=32, feat_channels=64),
    test_cfg=dict(max_per_img=50, flip=False),
)

optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
