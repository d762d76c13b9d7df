"""YolactEdge on videos, ResNet-101, second stage."""

_base_ = './flow_r50_flying-chairs.py'

load_from = 'work_dirs/image_r101_youtube-vis/iter_500000.pth'

model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
