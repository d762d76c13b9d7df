"""VPSNet "Fuse": no track head, instances numbered by frame; for image panoptic quality."""

_base_ = '../vpsnet.py'

model = dict(track_head=None, tracker=None)
