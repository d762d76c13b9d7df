"""UPSNet, ResNet-101, COCO panoptic; otherwise as the headline configuration."""

_base_ = '../upsnet.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe'))
)
