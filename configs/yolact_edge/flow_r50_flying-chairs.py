"""YolactEdge on videos, ResNet-50, second stage: the flow network from known motion."""

_base_ = [
    '../_base_/models/yolact-edge-video_r50.py',
    '../_base_/datasets/flying_chairs_550.py',
    '../_base_/schedules/yolact_edge_video.py',
]

load_from = 'work_dirs/image_r50_youtube-vis/iter_500000.pth'

model = dict(
    type='mmext.YolactEdgeFlowStage',
    bbox_head=dict(num_classes=40),
    mask_head=dict(num_classes=40),
)
max_iters = 400_000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
