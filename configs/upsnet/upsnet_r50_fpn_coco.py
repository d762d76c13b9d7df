"""UPSNet, ResNet-50, COCO panoptic, plain pyramid (no global context)."""

_base_ = '../upsnet.py'

model = dict(neck=dict(type='FPN'))
