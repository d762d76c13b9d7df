"""VPSNet "Track": for the released weights without a fuse module."""

_base_ = './vpsnet_r50_cityscapes-vps_released.py'

model = dict(fuse_neck=None)
