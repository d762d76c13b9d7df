"""Joints of generated persons as heat-maps on crops: minutes on two CPU cores.

`python -m mmext.demo figures --out data/demo_figures` writes the data set.
"""

_base_ = [
    './_base_/models/landmarks_demo.py',
    './_base_/datasets/demo_figures_landmarks.py',
    './_base_/schedules/demo_landmarks.py',
]

# maps of 16 x 24 cells of 4 px
model = dict(
    input_size={{_base_.input_size}},
    margin={{_base_.margin}},
    flip_pairs={{_base_.flip_pairs}},
    head=dict(
        type='mmext.HeatmapHead',
        num_points=17,
        in_channels=96,
        deconv_channels=(64, 64),
        codec=dict(stamp='dark', sigma=1.0, decoder='taylor', kernel_size=9),
    ),
    test_cfg=dict(score_points='all'),  # boxes are given: their scores say nothing
)
