"""Five landmarks of generated faces: means of maps that nobody draws (DSNT)."""

_base_ = '../_base_/landmarks_faces.py'

model = dict(
    head=dict(type='mmext.IntegralHead', num_points=5, in_channels=96, deconv_channels=(64, 64))
)
