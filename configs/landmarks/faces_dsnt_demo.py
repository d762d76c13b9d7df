"""Five landmarks of generated faces: means of maps that nobody draws (DSNT)."""

_base_ = [
    '../_base_/models/landmarks_demo.py',
    '../_base_/datasets/demo_landmarks.py',
    '../_base_/schedules/demo_landmarks.py',
]

model = dict(
    head=dict(type='mmext.IntegralHead', num_points=5, in_channels=96, deconv_channels=(64, 64))
)
