"""An image model on the generated clips of `mmext.demo`, with whole videos to predict, and VPQ.

`python -m mmext.demo video --out data/demo_video` writes the data set. The model is that of
UPSNet's demo, as a VPSNet without its parts for videos; `vpsnet_demo.py` adds them.
"""

_base_ = '../upsnet_demo.py'

model = dict(
    type='mmext.VPSNet',
    data_preprocessor=dict(type='mmext.VideoPairDataPreprocessor'),
    optical_flow=dict(type='mmext.DISFlow'),
    # no unknown channel, so no instance hidden from it
    panoptic_fusion_head=dict(with_unknown=False, keep_fraction=1.0),
)

data_root = 'data/demo_video/'
train_pipeline = [
    dict(
        type='mmext.BothFrames',
        transforms=[
            dict(type='mmext.LoadImageFromFile'),
            dict(type='mmext.LoadVideoPanopticAnnotations'),
            dict(type='Resize', scale=(192, 128), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(type='mmext.PackVideoPanopticInputs'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=(192, 128), keep_ratio=True),
    dict(type='mmext.LoadVideoPanopticAnnotations'),
    dict(type='mmext.PackVideoPanopticInputs'),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        type='mmext.VideoPanopticDataset',
        data_root=data_root,
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(img='train/', seg='annotations/panoptic_train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    sampler=dict(_delete_=True, type='mmext.VideoSampler'),  # videos are streams
    dataset=dict(
        type='mmext.VideoPanopticDataset',
        data_root=data_root,
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(img='val/', seg='annotations/panoptic_val/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# every frame has a label, so windows of 1 to 4 frames are k = 0 to 3
val_evaluator = dict(_delete_=True, type='mmext.VideoPanopticQualityMetric', label_interval=1)
test_evaluator = val_evaluator

max_iters = 1000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
