"""The demo without track head and with the paper's fuse neck instead of the gated one."""

_base_ = './vpsnet_fuse_demo.py'

model = dict(fuse_neck=dict(type='mmext.FuseNeck'))
