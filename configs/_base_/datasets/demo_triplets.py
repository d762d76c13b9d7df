"""The boxes of the generated panoptic set of `mmext.demo`, for keypoint triplets.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set.
"""

_base_ = './coco_triplets.py'

data_root = 'data/demo_panoptic/'
metainfo = dict(
    classes=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    palette=[(220, 20, 60), (250, 140, 30), (0, 120, 60), (165, 42, 165), (0, 60, 230)],
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(160, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=(160, 128), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
auto_scale_lr = dict(base_batch_size=8)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
