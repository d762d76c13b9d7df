"""The demo with neither fuse neck nor track head, trained as long: the control."""

_base_ = '../vpsnet_demo.py'

model = dict(fuse_neck=None, track_head=None, tracker=None)
