"""Objects as points on few photos of any size: the longer side becomes 192 px, batches of 8."""

_base_ = './coco_points.py'

size = (192, 192)
train_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.RandomCenterWarp', size=size, scales=(0.6, 1.3)),
    dict(type='mmext.CenterNetColorJitter', strength=0.3),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='mmext.CenterWarp', resolution='fixed', size=size),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys={{_base_.test_meta_keys}}),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    batch_sampler=None,
    dataset=dict(pipeline=train_pipeline),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
val_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
