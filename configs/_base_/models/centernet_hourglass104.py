"""Objects as points on Hourglass-104; Zhou et al., "Objects as Points", 2019."""

_base_ = './centernet_points.py'

model = dict(
    backbone=dict(type='mmext.HourglassNet', num_stacks=2),
    bbox_head=dict(in_channels=256, feat_channels=256, num_stacks=2),
)
