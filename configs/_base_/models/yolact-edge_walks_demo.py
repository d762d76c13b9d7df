"""A smaller YolactEdge than the demo's, for videos of persons: 32 channels."""

_base_ = './yolact-edge_demo.py'

channels = 32
model = dict(
    backbone=dict(base_channels=32, stem_channels=32),
    neck=dict(in_channels=[32, 64, 128], out_channels=channels),
    bbox_head=dict(num_classes=1, in_channels=channels, feat_channels=channels),
    mask_head=dict(
        num_classes=1,
        in_channels=channels,
        proto_channels=(channels, channels, None, channels, 32),
    ),
    # persons are tall: square anchors overlap them little
    train_cfg=dict(matching=dict(positive_iou=0.4, negative_iou=0.3)),
)
