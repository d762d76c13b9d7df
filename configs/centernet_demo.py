"""Objects as points, made small: learns the generated boxes within minutes on two CPU cores.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set; its instances are
the boxes. The network is that of `centernet.py` at half the widths, without deformable
convolutions, from random initialisation.
"""

_base_ = './centernet.py'

data_root = 'data/demo_panoptic/'
metainfo = dict(
    classes=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    palette=[(220, 20, 60), (250, 140, 30), (0, 120, 60), (165, 42, 165), (0, 60, 230)],
)

model = dict(
    backbone=dict(widths=(8, 16, 32, 64, 128, 256)),
    neck=dict(in_channels=(32, 64, 128, 256), conv_cfg=None),
    bbox_head=dict(num_classes=5, in_channels=32, feat_channels=64),
    test_cfg=dict(max_per_img=50, flip=False),
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
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

max_iters = 1000
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters
)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=10.0),
)
auto_scale_lr = dict(base_batch_size=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=max_iters),
    sync_buffers=dict(type='mmext.SyncBuffersHook'),  # its BatchNorm learns
)
log_processor = dict(by_epoch=False, window_size=20)
randomness = dict(seed=0)
