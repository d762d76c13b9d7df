"""Five landmarks of generated faces: coordinates and their deviations (RLE)."""

_base_ = '../_base_/landmarks_faces.py'

model = dict(head=dict(type='mmext.RegressionHead', num_points=5, in_channels=96, loss_type='rle'))
