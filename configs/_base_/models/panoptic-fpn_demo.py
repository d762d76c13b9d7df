"""Panoptic FPN made small: ResNet-18 and a pyramid of 64 channels from random initialisation."""

_base_ = './panoptic-fpn_r50.py'

channels = 64
norm = dict(type='BN')  # random weights learn faster with it
model = dict(
    backbone=dict(depth=18, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=channels, norm_cfg=norm),
    rpn_head=dict(in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(type='mmext.SingleRoIExtractor', out_channels=channels),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=2,
            num_shared_fcs=1,
            in_channels=channels,
            conv_out_channels=channels,
            fc_out_channels=256,
            num_classes=5,
            norm_cfg=norm,
        ),
        mask_roi_extractor=dict(type='mmext.SingleRoIExtractor', out_channels=channels),
        mask_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            num_convs=2,
            num_classes=5,
            norm_cfg=dict(type='GN', num_groups=8),  # a batch may have no instance
        ),
    ),
    semantic_head=dict(
        in_channels=channels,
        inner_channels=channels,
        num_things_classes=5,
        num_stuff_classes=5,
    ),
    panoptic_fusion_head=dict(num_things_classes=5, num_stuff_classes=5),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=250),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=250, max_per_img=100),
        panoptic=dict(stuff_area_limit=218),  # 128 x 128 / (640 x 480) of COCO's 4096
    ),
)
