"""The demo without fuse neck: single frames, and ids by place, label and appearance."""

_base_ = '../vpsnet_demo.py'

model = dict(fuse_neck=None)
