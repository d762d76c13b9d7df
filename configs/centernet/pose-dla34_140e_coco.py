"""Human pose as points on DLA-34.

Zhou et al., "Objects as Points", 2019, section 5.3. Published COCO val key point AP of the
released weights, flipped (repository's table): 54.7 after 140 epochs, 58.9 after 320 (drops at
270 and 300). Not trained again here. The released runs started from the detector of the same
backbone: `load_from` a checkpoint of `centernet.py`.
"""

_base_ = '../_base_/centernet_pose_coco.py'

model = dict(
    type='mmext.CenterNetPointDetector',
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(type='mmext.DLA'),
    neck=dict(type='mmext.DLAUpNeck', in_channels=(64, 128, 256, 512)),
    bbox_head=dict(
        type='mmext.CenterNetPoseHead',
        num_classes=1,
        num_joints=17,
        flip_pairs={{_base_.flip_pairs}},
        in_channels=64,
        feat_channels=256,
    ),
    test_cfg=dict(topk=100, local_maximum_kernel=3, max_per_img=100, flip=True),
)
