"""A small DensePose R-CNN with masks and key points, from random weights.

Three stages of ResNet-18 of half the width, a pyramid and heads of 64 channels. The regions of the
surface are looked at from fine to coarse and back, with GroupNorm: plain convolutions learn slower.
"""

_base_ = './mask-rcnn_demo.py'

channels = 64
strides = [4, 8, 16]
roi_extractor = dict(
    type='mmext.SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
    out_channels=channels,
    featmap_strides=strides,
)
model = dict(
    backbone=dict(
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
    ),
    neck=dict(in_channels=[32, 64, 128], num_outs=4),
    rpn_head=dict(anchor_generator=dict(scales=[5], strides=[4, 8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=strides),
        mask_roi_extractor=dict(featmap_strides=strides),
        tasks=dict(
            keypoints=dict(
                type='mmext.KeypointRCNNTask',
                num_points=17,
                roi_extractor=roi_extractor,
                in_channels=channels,
                num_convs=2,
                conv_channels=channels,
            ),
            densepose=dict(
                type='mmext.DensePoseTask',
                decoder=dict(
                    type='mmext.PyramidDecoder',
                    in_channels=channels,
                    channels=channels,
                    out_channels=channels,
                    num_levels=3,
                ),
                roi_extractor=dict(
                    roi_extractor,
                    featmap_strides=[4],
                    roi_layer=dict(type='RoIAlign', output_size=24, sampling_ratio=0),
                ),
                trunk=dict(
                    type='mmext.SurfaceHourglassTrunk',
                    in_channels=channels,
                    channels=(channels, 128, 192),  # of 24, 12 and 6 cells
                    num_groups=8,
                ),
            ),
        ),
    ),
)
