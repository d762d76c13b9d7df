"""A small DensePose R-CNN with masks and key points, from random weights.

Three stages of ResNet-18 of half the width, a pyramid and heads of 64 channels. The regions of the
surface are looked at from fine to coarse and back, with GroupNorm: plain convolutions learn slower.
"""

_base_ = './mask-rcnn_demo.py'

channels = 64
strides = [4, 8, 16]
norm = dict(type='BN')
roi_extractor = dict(
    type='mmext.SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
    out_channels=channels,
    featmap_strides=strides,
)
model = dict(
    type='mmext.PixelRCNN',
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
                type='mmext.SurfaceCropTask',
                margin=0.1,
                roi_extractor=dict(
                    type='mmext.SingleRoIExtractor',
                    roi_layer=dict(type='RoIAlign', output_size=96, sampling_ratio=0),
                    out_channels=3,
                    featmap_strides=[1],
                ),
                trunk=dict(
                    type='mmext.SurfaceHourglassTrunk',
                    in_channels=3,
                    stem_channels=32,
                    channels=(64, 128, 192),  # of 24, 12 and 6 cells
                    norm_cfg=norm,
                ),
            ),
        ),
    ),
)
