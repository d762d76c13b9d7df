"""COCO panoptic: data, evaluators, and the test pipeline of every panoptic set.

Expects COCO 2017 in `data/coco`: `train2017/`, `val2017/`, and in `annotations/`
`panoptic_{train,val}2017.json` beside their PNG folders and `instances_val2017.json`.
"""

_base_ = 'mmdet::_base_/datasets/coco_panoptic.py'

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
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(type='mmext.CocoPanopticDataset', pipeline=train_pipeline),
)
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
