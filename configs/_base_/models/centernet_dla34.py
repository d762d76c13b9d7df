"""Objects as points on DLA-34; Zhou et al., "Objects as Points", 2019."""

_base_ = './centernet_points.py'

model = dict(
    backbone=dict(type='mmext.DLA'),
    neck=dict(type='mmext.DLAUpNeck', in_channels=(64, 128, 256, 512)),
    bbox_head=dict(
        in_channels=64,
        feat_channels=256,  # section 5; released code
        size_weight=0.1,  # section 3
        offset_weight=1.0,  # section 3
        radius_mode='official',
    ),
)
