"""Joints of generated persons as heat-maps on crops: minutes on two CPU cores.

`python -m mmext.demo figures --train 6000 --out data/demo_figures` writes the data set.
"""

_base_ = [
    './_base_/models/landmarks_demo.py',
    './_base_/datasets/demo_figures_landmarks.py',
    './_base_/schedules/demo_landmarks.py',
]

max_iters = 9000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
# maps of 24 x 32 cells of 4 px; half of the width of ResNet-18, its eighth beside its sixteenth
model = dict(
    input_size={{_base_.input_size}},
    margin={{_base_.margin}},
    flip_pairs={{_base_.flip_pairs}},
    backbone=dict(base_channels=32, stem_channels=16, out_indices=(1, 2)),
    neck=dict(
        type='HRFPN',
        in_channels=[64, 128],
        out_channels=64,
        num_outs=1,
        norm_cfg=dict(type='BN'),
    ),
    head=dict(
        type='mmext.HeatmapHead',
        num_points=17,
        in_channels=64,
        deconv_channels=(64,),
        loss_type='weighted_adaptive_wing',
        codec=dict(stamp='dark', sigma=1.5, decoder='taylor', kernel_size=9),
    ),
    test_cfg=dict(score_points='all'),  # boxes are given: their scores say nothing
)
