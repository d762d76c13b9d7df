"""Newell's stacked hourglass, eight stacks, human pose of MPII: the paper's headline.

Newell et al., "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016: PCKh@0.5 90.9 on
MPII's test set. Not trained again here. Weights of princeton-vl's port:
`tools/convert_checkpoint.py hourglass-princeton SOURCE --config configs/landmarks.py --out OUT`.
"""

_base_ = [
    './_base_/datasets/mpii_landmarks.py',
    './_base_/schedules/hourglass_800k.py',
]

model = dict(
    type='mmext.CropLandmarkEstimator',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=True),
    input_size={{_base_.input_size}},
    margin={{_base_.margin}},
    flip_pairs={{_base_.flip_pairs}},
    mean=(0, 0, 0),  # 0 to 1: released code
    std=(255, 255, 255),
    backbone=dict(type='mmext.StackedHourglass', num_points=16, num_stacks=8),  # section 2.2
    head=dict(
        type='mmext.HeatmapHead',
        num_points=16,
        in_channels=None,  # the maps of the stacks, each supervised: section 2.3
        codec=dict(stamp='newell', decoder='quarter'),  # section 3.1; released code
    ),
    test_cfg=dict(flip=True),  # section 3.1
)
