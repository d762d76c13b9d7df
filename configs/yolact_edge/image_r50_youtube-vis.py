"""YolactEdge on videos, ResNet-50, first stage: the image model on single frames.

Start it from an image model of COCO: `load_from`. Released: one batch of COCO's pictures with
categories that both sets share beside each batch of frames; here frames alone.
"""

_base_ = [
    '../_base_/models/yolact-edge_r50.py',
    '../_base_/datasets/youtube_vis_550.py',
    '../_base_/schedules/yolact_edge_video.py',
]

model = dict(bbox_head=dict(num_classes=40), mask_head=dict(num_classes=40))
train_dataloader = dict(dataset=dict(reference_range=None))
max_iters = 500_000
train_cfg = dict(max_iters=max_iters)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
