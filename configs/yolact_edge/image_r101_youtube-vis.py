"""YolactEdge on videos, ResNet-101, first stage."""

_base_ = './image_r50_youtube-vis.py'

model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
