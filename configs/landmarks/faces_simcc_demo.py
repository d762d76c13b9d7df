"""Five landmarks of generated faces: one classification for each axis (SimCC)."""

_base_ = [
    '../_base_/models/landmarks_demo.py',
    '../_base_/datasets/demo_landmarks.py',
    '../_base_/schedules/demo_landmarks.py',
]

# the maps before the linear layers are as large as those of the heat-maps: of 4 x 4 cells it learns
# little in so few steps
model = dict(
    head=dict(
        type='mmext.SimCCHead', num_points=5, in_channels=96, stride=16, deconv_channels=(64, 64)
    )
)
