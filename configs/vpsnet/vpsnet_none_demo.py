"""The demo on single frames, with ids by place and label, trained as long: the control."""

_base_ = '../vpsnet_demo.py'

model = dict(fuse_neck=None, track_head=None)
