"""VPSNet "Track": no fuse neck. Reported VPQ on val (from memory, not checked): 55.9."""

_base_ = '../vpsnet.py'

model = dict(fuse_neck=None)
