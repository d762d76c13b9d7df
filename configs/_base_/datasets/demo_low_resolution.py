"""Pictures of the generated set and what they are at a quarter of the size.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set. Any detection data set
serves: `mmext.LowResolution` makes the pairs.
"""

data_root = 'data/demo_panoptic/'
metainfo = dict(classes=('ball', 'crate', 'tree', 'mushroom', 'fish'))
scale = 4
train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.LowResolution', scale=scale),
    dict(type='mmext.PackTranslation'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LowResolution', scale=scale),
    dict(type='mmext.PackTranslation'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='mmext.CocoDataset',
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmext.CocoDataset',
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmext.LikenessMetric')
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=8)
