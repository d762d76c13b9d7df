"""Five landmarks of generated faces as heat-maps on crops: minutes on two CPU cores.

`python -m mmext.demo faces --out data/demo_faces` writes the data set. Another head is one line:
`landmarks/faces_*_demo.py` are this file with other heads.
"""

_base_ = [
    './_base_/models/landmarks_demo.py',
    './_base_/datasets/demo_landmarks.py',
    './_base_/schedules/demo_landmarks.py',
]

# maps of 16 x 16 cells of 4 px; sigma 1 cell, as faces' points are close to each other there
model = dict(
    head=dict(
        type='mmext.HeatmapHead',
        num_points=5,
        in_channels=96,
        deconv_channels=(64, 64),
        codec=dict(stamp='dark', sigma=1.0, decoder='taylor', kernel_size=9),
    )
)
