"""The demo without track head: fused frames, instances numbered by frame."""

_base_ = '../vpsnet_demo.py'

model = dict(track_head=None, tracker=None)
