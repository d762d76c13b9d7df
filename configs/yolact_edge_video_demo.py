"""A small YolactEdge on videos: the last of three stages, all within minutes on two CPU cores.

python tools/train.py configs/yolact_edge/image_walks_demo.py
python tools/train.py configs/yolact_edge/flow_walks_demo.py
python tools/train.py configs/yolact_edge_video_demo.py
"""

_base_ = [
    './_base_/models/yolact-edge-video_demo.py',
    './_base_/datasets/demo_walks.py',
    './_base_/schedules/demo_walks.py',
]

load_from = 'work_dirs/flow_walks_demo/iter_2000.pth'

model = dict(type='mmext.YolactEdgeJointStage')
# from where the image model has come to, not from random weights
optim_wrapper = dict(optimizer=dict(lr=1e-3))
max_iters = 500
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
