"""YolactEdge made small: ResNet-18 and 64 channels from random initialisation."""

_base_ = './yolact-edge_r50.py'

channels = 64
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(depth=18, init_cfg=None),
    neck=dict(in_channels=[128, 256, 512], out_channels=channels, num_outs=4),
    bbox_head=dict(
        num_classes=5,
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales_px=[16, 32, 64, 112]),
    ),
    mask_head=dict(
        num_classes=5,
        in_channels=channels,
        proto_channels=(channels, channels, None, channels, 32),
        proto_kernel_sizes=(3, 3, -2, 3, 1),
    ),
)
