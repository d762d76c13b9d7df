"""The objects of the generated set, one by one, as crops of 32 px with their masks.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set. Any detection data set
with masks serves.
"""

data_root = 'data/demo_panoptic/'
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='mmext.ObjectCrops',
        size=32,
        dataset=dict(
            type='mmext.CocoDataset',
            data_root=data_root,
            metainfo=dict(classes=('ball', 'crate', 'tree', 'mushroom', 'fish')),
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
        ),
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=32)
