"""Coordinates with their deviations (RLE) on ResNet-50, persons of COCO.

Li et al., "Human Pose Regression with Residual Log-likelihood Estimation", ICCV 2021. AP on
val2017 in mmpose's list: 70.6, plain regression 54.1. Not trained again here. Data, augmentation
and schedule are those of the heat-maps.
"""

_base_ = './heatmap_r50_coco.py'

model = dict(
    head=dict(
        _delete_=True,
        type='mmext.RegressionHead',
        num_points=17,
        in_channels=2048,
        loss_type='rle',
    )
)
