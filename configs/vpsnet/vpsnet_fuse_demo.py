"""The demo without track head: fused frames, and ids by place and label."""

_base_ = '../vpsnet_demo.py'

model = dict(track_head=None)
