"""YolactEdge on videos, ResNet-101, third stage. Released: 46.9 mask AP, 47.3 as an image model."""

_base_ = './video_r50_youtube-vis.py'

load_from = 'work_dirs/flow_r101_flying-chairs/iter_400000.pth'

model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
