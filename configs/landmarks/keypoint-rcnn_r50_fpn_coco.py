"""Keypoint R-CNN: persons of COCO with their 17 points, in one two-stage detector.

He et al., "Mask R-CNN", ICCV 2017, section 5, with the numbers of detectron2's R_50_FPN (box AP
53.6, key point AP 64.0 after its 1x schedule). Not trained again here. Its weights:
`tools/convert_checkpoint.py keypoint-rcnn SOURCE --config THIS --out OUT`.
"""

_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50-caffe_fpn_1x_coco.py'

data_root = 'data/coco/'
num_points = 17

model = dict(
    train_cfg=dict(rpn_proposal=dict(nms_pre=2000, max_per_img=1500)),  # detectron2
    roi_head=dict(
        type='mmext.TaskRoIHead',
        bbox_head=dict(
            num_classes=1,
            reg_class_agnostic=False,
            loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=0.5, loss_weight=1.0),
        ),
        tasks=dict(
            keypoints=dict(
                type='mmext.KeypointRCNNTask',
                num_points=num_points,
                pixel_offset=0.5,  # COCO's points are indices of pixels
                roi_extractor=dict(
                    type='mmext.SingleRoIExtractor',
                    roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
                    out_channels=256,
                    featmap_strides=[4, 8, 16, 32],
                ),
            )
        ),
    ),
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(
        type='RandomChoiceResize',
        scales=[(1333, side) for side in range(640, 801, 32)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
train_dataloader = dict(
    batch_size=2,  # 8 GPUs
    dataset=dict(
        type='mmext.CocoKeypointDataset',
        ann_file='annotations/person_keypoints_train2017.json',
        filter_cfg=dict(filter_empty_gt=True, min_keypoints=1),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='mmext.CocoKeypointDataset',
        ann_file='annotations/person_keypoints_val2017.json',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
ann_file = data_root + 'annotations/person_keypoints_val2017.json'
val_evaluator = [
    dict(type='mmext.KeypointOKSMetric', ann_file=ann_file),
    dict(type='mmext.CocoDetectionMetric', ann_file=ann_file),
]
test_evaluator = val_evaluator
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook'),
)
