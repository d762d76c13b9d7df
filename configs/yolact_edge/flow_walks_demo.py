"""The demo of YolactEdge on videos, second stage: flow from the figures' known motion."""

_base_ = [
    '../_base_/models/yolact-edge-video_demo.py',
    '../_base_/datasets/demo_walks.py',
    '../_base_/schedules/demo_walks.py',
]

load_from = 'work_dirs/image_walks_demo/iter_3200.pth'

model = dict(type='mmext.YolactEdgeFlowStage')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmext.ClipFlowDataset',
        data_root={{_base_.data_root}},
        metainfo={{_base_.metainfo}},  # of the heads, which stay as they are
        data_prefix=dict(img='train_clips/', flow='train_flow/'),
        max_distance=2,
        pipeline=[
            dict(
                type='mmext.BothFrames',
                transforms=[
                    dict(type='mmext.LoadImageFromFile'),
                    dict(type='Resize', scale=(160, 160), keep_ratio=True),
                    dict(type='RandomFlip', prob=0.5),
                ],
            ),
            dict(type='mmext.PackFlowPair'),
            dict(type='mmext.ShiftedCrops', size=(128, 128), max_shift=16),
        ],
    ),
)
val_dataloader = dict(dataset=dict(key_passes=1))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-3))
max_iters = 2000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
