"""Human pose as points on DLA-34; which joints are pairs the data set says.

Zhou et al., "Objects as Points", 2019, section 5.3.
"""

_base_ = './centernet_dla34.py'

model = dict(
    bbox_head=dict(
        _delete_=True,
        type='mmext.CenterNetPoseHead',
        num_classes=1,
        num_joints=17,
        in_channels=64,
        feat_channels=256,
    )
)
