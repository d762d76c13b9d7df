"""VPSNet "Fuse": for the released weights without a track head."""

_base_ = './vpsnet_r50_cityscapes-vps_released.py'

model = dict(track_head=None, tracker=None)
