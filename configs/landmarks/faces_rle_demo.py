"""Five landmarks of generated faces: coordinates and their deviations (RLE)."""

_base_ = [
    '../_base_/models/landmarks_demo.py',
    '../_base_/datasets/demo_landmarks.py',
    '../_base_/schedules/demo_landmarks.py',
]

model = dict(head=dict(type='mmext.RegressionHead', num_points=5, in_channels=96, loss_type='rle'))
