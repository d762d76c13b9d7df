"""UPSNet on a Caffe-style ResNet-50, with COCO panoptic data: the base of every UPSNet.

A delta to mmdet's Panoptic FPN configuration (Mask R-CNN, data loading, runtime). Numbers
are those of the configurations released with Xiong et al., UPSNet, CVPR 2019.

Expects COCO 2017 in `data/coco`: `train2017/`, `val2017/`, and in `annotations/`
`panoptic_{train,val}2017.json` beside their PNG folders and `instances_val2017.json`.
"""

_base_ = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'

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

optim_wrapper = dict(
    # biases learn twice as fast and do not decay; mmengine leaves those of the layers out that
    # predict the offsets of deformable convolutions
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={'conv_offset.bias': dict(lr_mult=2.0, decay_mult=0.0)},
    ),
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(
        type='PackDetInputs',
        meta_keys=(
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            # the truth of PanopticQualityMetric and, without a file, of CocoDetectionMetric
            *('seg_map_path', 'segments_info', 'instances'),
        ),
    ),
]
train_dataloader = dict(dataset=dict(type='mmext.CocoPanopticDataset', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='mmext.CocoPanopticDataset', pipeline=test_pipeline))
test_dataloader = val_dataloader

# PQ, box and mask AP, and mIoU from one pass over the images
val_evaluator = [
    dict(type='mmext.PanopticQualityMetric'),
    dict(
        type='mmext.CocoDetectionMetric',
        ann_file='data/coco/annotations/instances_val2017.json',
        metric=['bbox', 'segm'],
    ),
    dict(type='SemSegMetric'),
]
test_evaluator = val_evaluator

# says what the data sets hold, stops a run whose model and data disagree on the classes
default_hooks = dict(data_check=dict(type='mmext.DataCheckHook'))
