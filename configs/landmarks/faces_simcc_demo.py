"""Five landmarks of generated faces: one classification for each axis (SimCC)."""

_base_ = '../_base_/landmarks_faces.py'

model = dict(head=dict(type='mmext.SimCCHead', num_points=5, in_channels=96, stride=16))
