"""Boxes and masks of the generated panoptic set of `mmext.demo`, images that keep their ratio.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set.
"""

_base_ = './coco_instances_550.py'

data_root = 'data/demo_panoptic/'
metainfo = dict(
    classes=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    palette=[(220, 20, 60), (250, 140, 30), (0, 120, 60), (165, 42, 165), (0, 60, 230)],
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(192, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1] = dict(type='Resize', scale=(192, 128), keep_ratio=True)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        filter_cfg=dict(_delete_=True, filter_empty_gt=False),  # empty images teach the background
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=4)
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
