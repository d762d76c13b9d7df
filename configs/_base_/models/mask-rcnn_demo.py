"""Mask R-CNN of persons made small, whose RoI head takes further tasks; from random weights.

ResNet-18 of half the width, a pyramid and heads of 64 channels.
"""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

channels = 64
norm = dict(type='BN')  # random weights learn faster with it
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=32,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=channels, norm_cfg=norm),
    rpn_head=dict(in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        type='mmext.TaskRoIHead',
        bbox_roi_extractor=dict(type='mmext.SingleRoIExtractor', out_channels=channels),
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
        mask_roi_extractor=dict(type='mmext.SingleRoIExtractor', out_channels=channels),
        mask_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            num_convs=2,
            num_classes=1,
            norm_cfg=dict(type='GN', num_groups=8),  # a batch may have no instance
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=250),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=250, max_per_img=100), rcnn=dict(max_per_img=20)),
)
