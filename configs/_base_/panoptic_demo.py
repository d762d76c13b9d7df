"""mmdet's Panoptic FPN, made small, on the generated panoptic set of `mmext.demo`.

The common ground of the demo configurations: data, schedule, ResNet-18 backbone and a pyramid
of 64 channels from random initialisation. `make demo` writes the data set;
`python -m mmext.demo panoptic --out data/demo_panoptic` writes it alone.
"""

_base_ = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'

data_root = 'data/demo_panoptic/'
metainfo = dict(
    classes=(
        'ball', 'crate', 'tree', 'mushroom', 'fish', 'sky', 'grass', 'water', 'sand', 'road'
    ),
    thing_classes=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    stuff_classes=('sky', 'grass', 'water', 'sand', 'road'),
    palette=[
        *[(220, 20, 60), (250, 140, 30), (0, 120, 60), (165, 42, 165), (0, 60, 230)],
        *[(120, 190, 255), (150, 250, 130), (50, 130, 170), (240, 220, 130), (128, 100, 128)],
    ],
)  # fmt: skip

channels = 64
norm = dict(type='BN')  # random weights learn faster with it
model = dict(
    backbone=dict(depth=18, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=channels, norm_cfg=norm),
    rpn_head=dict(in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(type='mmext.SingleRoIExtractor', out_channels=channels),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=2,
            num_shared_fcs=1,
            in_channels=channels,
            conv_out_channels=channels,
            fc_out_channels=256,
            num_classes=5,
            norm_cfg=norm,
        ),
        mask_roi_extractor=dict(type='mmext.SingleRoIExtractor', out_channels=channels),
        mask_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            num_convs=2,
            num_classes=5,
            norm_cfg=dict(type='GN', num_groups=8),  # a batch may have no instance
        ),
    ),
    semantic_head=dict(
        in_channels=channels,
        inner_channels=channels,
        num_things_classes=5,
        num_stuff_classes=5,
    ),
    panoptic_fusion_head=dict(num_things_classes=5, num_stuff_classes=5),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=250),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=250, max_per_img=100),
        panoptic=dict(stuff_area_limit=218),  # 128 x 128 / (640 x 480) of COCO's 4096
    ),
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(type='Resize', scale=(192, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=(192, 128), keep_ratio=True),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(
        type='PackDetInputs',
        meta_keys=(
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            *('seg_map_path', 'segments_info'),  # the truth of PanopticQualityMetric
        ),
    ),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='mmext.CocoPanopticDataset',
        data_root=data_root,
        metainfo=metainfo,
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        type='mmext.CocoPanopticDataset',
        data_root=data_root,
        metainfo=metainfo,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmext.PanopticQualityMetric')
test_evaluator = val_evaluator

max_iters = 800
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters
)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=10.0),
)
auto_scale_lr = dict(base_batch_size=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=max_iters),
    mlflow=dict(type='mmext.MLflowHook'),
    sync_buffers=dict(type='mmext.SyncBuffersHook'),  # its BatchNorm learns
)
log_processor = dict(by_epoch=False, window_size=20)
randomness = dict(seed=0)
