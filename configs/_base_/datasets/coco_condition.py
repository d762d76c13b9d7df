"""COCO panoptic as pairs of 256 px: the map is the source, the photo the target."""

_base_ = './coco_panoptic.py'

side = 256
train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(type='Resize', scale=(286, 286), keep_ratio=False),
    dict(type='RandomCrop', crop_size=(side, side), allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.ToCondition'),
    dict(type='mmext.PackTranslation'),
]
test_pipeline = [
    *train_pipeline[:2],
    dict(type='Resize', scale=(side, side), keep_ratio=False),
    *train_pipeline[-2:],
]
train_dataloader = dict(batch_size=4, batch_sampler=None, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = []
test_evaluator = []
