"""Keypoint triplets, made small: learn the generated boxes within minutes on two CPU cores.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set; its instances are
the boxes. One shallow hourglass with few channels, from random initialisation.
"""

_base_ = [
    './_base_/models/centernet_triplet_hourglass104.py',
    './_base_/datasets/demo_triplets.py',
    './_base_/schedules/demo.py',
]

channels = 32
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        num_stacks=1,
        downsample_times=3,
        stage_channels=(channels, 48, 64, 96),
        stage_blocks=(1, 1, 1, 2),
        feat_channel=channels,
    ),
    bbox_head=dict(
        num_stacks=1,
        num_classes=5,
        in_channels=channels,
        pool_channels=channels // 2,
        tag_reduction='mean',  # the weights do not grow with the batch of 8
        loss_weights=dict(pull=0.5, push=0.5),
    ),
    test_cfg=dict(max_per_img=50),
)

optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
