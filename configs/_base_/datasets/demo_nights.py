"""The generated panoptic set by day and by night, of different scenes: two domains without pairs.

python -m mmext.demo panoptic --out data/demo_nights/day
python -m mmext.demo panoptic --out data/demo_nights/night --light night --seed 1
"""

_base_ = './demo_condition.py'

data_root = 'data/demo_nights/'
train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(
        type='PackDetInputs',
        meta_keys=(
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            *('seg_map_path', 'segments_info', 'instances'),  # the truth of who judges them
        ),
    ),
]
day = _base_.train_dataloader.dataset
day.data_root, day.pipeline = data_root + 'day/', train_pipeline
night = dict(
    type='mmext.PictureFolder',
    data_root=data_root + 'night/',
    data_prefix=dict(img='train2017/'),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    batch_size=2,
    batch_sampler=None,  # crops have one size
    dataset=dict(_delete_=True, type='mmext.UnpairedDataset', a=day, b=night),
)
val_dataloader = dict(dataset=dict(data_root=data_root + 'day/', pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=2)
