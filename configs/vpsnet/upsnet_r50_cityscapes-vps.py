"""UPSNet on the frames of Cityscapes-VPS: the image model that VPSNet is built on."""

_base_ = '../vpsnet.py'

model = dict(fuse_neck=None, track_head=None, tracker=None)
