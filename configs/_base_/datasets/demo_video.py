"""The generated clips of `mmext.demo`: pairs to learn from, whole videos to predict, and VPQ.

`python -m mmext.demo video --out data/demo_video` writes the data set.
"""

_base_ = './demo_panoptic.py'

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
