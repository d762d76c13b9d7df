"""YolactEdge made small: three stages of ResNet-18, 64 channels, random initialisation.

The pictures of the demo are small: the pyramid begins at stride 4, prototypes are at stride 2.
"""

_base_ = './yolact-edge_r50.py'

channels = 64
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        init_cfg=None,
    ),
    neck=dict(in_channels=[64, 128, 256], out_channels=channels, num_outs=4),
    bbox_head=dict(
        num_classes=5,
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales_px=[12, 24, 48, 96]),
    ),
    mask_head=dict(
        num_classes=5,
        in_channels=channels,
        proto_channels=(channels, channels, None, channels, 32),
        proto_kernel_sizes=(3, 3, -2, 3, 1),
    ),
)
