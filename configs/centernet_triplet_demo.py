"""Keypoint triplets, made small: learn the generated boxes within minutes on two CPU cores.

`python -m mmext.demo panoptic --out data/demo_panoptic` writes the data set; its instances are
the boxes. One shallow hourglass with few channels, from random initialisation.
"""

_base_ = './centernet/triplet-hourglass52_480k_coco.py'

data_root = 'data/demo_panoptic/'
metainfo = dict(
    classes=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    palette=[(220, 20, 60), (250, 140, 30), (0, 120, 60), (165, 42, 165), (0, 60, 230)],
)

channels = 32
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        downsample_times=3,
        stage_channels=(channels, 48, 64, 96),
        stage_blocks=(1, 1, 1, 2),
        feat_channel=channels,
    ),
    bbox_head=dict(
        num_classes=5,
        in_channels=channels,
        pool_channels=channels // 2,
        tag_reduction='mean',  # the weights do not grow with the batch of 8
        loss_weights=dict(pull=0.5, push=0.5),
    ),
    test_cfg=dict(max_per_img=50),
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
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

max_iters = 1000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(_delete_=True, max_norm=10.0),
)
auto_scale_lr = dict(base_batch_size=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=max_iters),
    sync_buffers=dict(type='mmext.SyncBuffersHook'),  # its BatchNorm learns
)
log_processor = dict(window_size=20)
randomness = dict(seed=0)
