"""A smaller YolactEdge than the demo's, for videos of persons, with anchors as tall as they are."""

_base_ = './yolact-edge_demo.py'

model = dict(
    backbone=dict(base_channels=32, stem_channels=32),
    neck=dict(in_channels=[32, 64, 128]),
    bbox_head=dict(
        num_classes=1,
        # a walker is 1.5 to 4 times as tall as wide, and 25 to 68 px in the root of its area:
        # of squares the best overlaps half of the walkers by less than .47, of these by .71
        anchor_generator=dict(scales_px=[16, 32, 56, 80], aspect=2.5),
    ),
    mask_head=dict(num_classes=1),
)
