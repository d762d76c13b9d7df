"""The headline model with our gated fuse neck instead of the paper's; not trained at this size."""

_base_ = '../vpsnet.py'

model = dict(fuse_neck=dict(type='mmext.GatedFuseNeck'))
