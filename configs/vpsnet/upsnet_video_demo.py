"""UPSNet on the frames of the clips: neither fuse neck nor track head, the control."""

_base_ = '../vpsnet_demo.py'

model = dict(fuse_neck=None, track_head=None, tracker=None)
