"""UPSNet on a Caffe-style ResNet-50: the model below every UPSNet.

A delta to mmdet's Panoptic FPN. Numbers are those of the configurations released with Xiong et
al., UPSNet, CVPR 2019.
"""

_base_ = './panoptic-fpn_r50.py'

model = dict(
    type='mmext.UPSNet',
    num_things_classes=80,
    num_stuff_classes=53,
    data_preprocessor=dict(
        # Caffe weights: BGR, mean only
        mean=[103.530, 116.280, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
    ),
    backbone=dict(
        norm_cfg=dict(requires_grad=False),
        style='caffe',
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet50_caffe'),
    ),
    rpn_head=dict(loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0)),
    roi_head=dict(
        bbox_roi_extractor=dict(type='mmext.SingleRoIExtractor', roi_layer=dict(sampling_ratio=2)),
        bbox_head=dict(
            loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0, loss_weight=1.0)
        ),
        mask_roi_extractor=dict(type='mmext.SingleRoIExtractor', roi_layer=dict(sampling_ratio=2)),
    ),
    semantic_head=dict(_delete_=True, type='mmext.UPSNetSemanticHead'),
    panoptic_fusion_head=dict(_delete_=True, type='mmext.UPSNetPanopticHead'),
    train_cfg=dict(
        rpn=dict(allowed_border=0),
        rpn_proposal=dict(nms_pre=2000, max_per_img=2000),
        rcnn=dict(assigner=dict(match_low_quality=False)),
    ),
    test_cfg=dict(
        _delete_=True,
        rpn=dict(
            nms_pre=1000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
        ),
        # what box and mask AP are measured on
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=100,
            mask_thr_binary=0.5,
        ),
        # what enters the panoptic head
        panoptic=dict(
            score_thr=0.6,
            nms=dict(type='nms', iou_threshold=0.5, class_agnostic=True),
            max_per_img=100,
            mask_overlap=0.3,
            stuff_area_limit=4096,  # pixels of the original image
        ),
    ),
)
