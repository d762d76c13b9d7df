"""The boxes of the generated panoptic set of `mmext.demo`, for objects as points.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set.
"""

_base_ = './coco_points.py'

data_root = 'data/demo_panoptic/'
metainfo = dict(
    classes=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    palette=[(220, 20, 60), (250, 140, 30), (0, 120, 60), (165, 42, 165), (0, 60, 230)],
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.RandomCenterWarp', size=(128, 128), scales=(0.7, 1.3)),
    dict(type='mmext.CenterNetColorJitter', strength=0.2),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    batch_sampler=None,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=train_pipeline),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
