"""A small DensePose R-CNN with masks and key points, from random weights.

Three stages of ResNet-18 of half the width, a pyramid and heads of 64 channels. The regions of the
surface are looked at in several widths, with GroupNorm: plain convolutions learn slower.
"""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

channels = 64
norm = dict(type='BN')  # random weights learn faster with it
strides = [4, 8, 16]
roi_extractor = dict(
    type='mmext.SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
    out_channels=channels,
    featmap_strides=strides,
)
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 64, 128], out_channels=channels, norm_cfg=norm, num_outs=4),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales=[5], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        type='mmext.TaskRoIHead',
        bbox_roi_extractor=dict(
            type='mmext.SingleRoIExtractor', out_channels=channels, featmap_strides=strides
        ),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=2,
            num_shared_fcs=1,
            in_channels=channels,
            conv_out_channels=channels,
            fc_out_channels=256,
            num_classes=1,
            norm_cfg=norm,
        ),
        mask_roi_extractor=dict(
            type='mmext.SingleRoIExtractor', out_channels=channels, featmap_strides=strides
        ),
        mask_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            num_convs=2,
            num_classes=1,
            norm_cfg=dict(type='GN', num_groups=8),  # a batch may have no instance
        ),
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
                roi_extractor=dict(roi_extractor, featmap_strides=[4]),
                trunk=dict(
                    type='mmext.SurfaceDeepLabTrunk',
                    in_channels=channels,
                    channels=128,
                    num_convs=3,
                    dilations=(2, 4, 6),  # of 14 cells
                    num_groups=8,
                ),
            ),
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=250),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=250, max_per_img=100), rcnn=dict(max_per_img=20)),
)
