"""Instances of COCO at 550 x 550 px, with the augmentation of YOLACT.

Bolya et al., "YOLACT", ICCV 2019, section 5 (that of SSD); numbers of the released code.
"""

_base_ = 'mmdet::_base_/datasets/coco_instance.py'

side = 550
train_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=32,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5),
        hue_delta=18,
    ),
    dict(type='Expand', mean=[123.68, 116.78, 103.94], to_rgb=True, ratio_range=(1, 4)),
    dict(type='MinIoURandomCrop', min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=(side, side), keep_ratio=False),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(4.0, 4.0)),  # px of the network input
    dict(type='PackDetInputs'),
]
# `keep_ratio=True` works as well: masks and anchors know of the padding
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='Resize', scale=(side, side), keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    batch_sampler=None,
    dataset=dict(type='mmext.CocoDataset', pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(type='mmext.CocoDataset', pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True,
    type='mmext.CocoDetectionMetric',
    ann_file=_base_.data_root + 'annotations/instances_val2017.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
