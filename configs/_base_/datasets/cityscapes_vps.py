"""Cityscapes-VPS: pairs to learn from, whole videos to predict.

Kim et al., "Video Panoptic Segmentation", CVPR 2020: clips of 30 frames, every fifth labelled, 400
clips to train on, 50 held out. Download the set into `data/cityscapes_vps` and run
`python tools/prepare_data.py cityscapes-vps`, which checks it and writes `annotations/`:
`panoptic_{train,val}.json` and `panoptic_train/`. Validation runs on all frames in
`val/img_all/` and judges the labelled ones.
"""

_base_ = './cityscapes_panoptic.py'

data_root = 'data/cityscapes_vps/'
train_pipeline = [
    dict(
        type='mmext.BothFrames',
        transforms=[
            dict(type='mmext.LoadImageFromFile'),
            dict(type='mmext.LoadVideoPanopticAnnotations'),
            # released: 2048 x 1024 times 0.8 to 1.5, then 1600 x 800 of it
            dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.8, 1.5), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RandomCrop', crop_size=(1600, 800), allow_negative_crop=True),
        ],
    ),
    dict(type='mmext.PackVideoPanopticInputs'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
    dict(type='mmext.LoadVideoPanopticAnnotations'),
    dict(type='mmext.PackVideoPanopticInputs'),
]
train_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='mmext.CityscapesVPSDataset',
        data_root=data_root,
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(img='train/img/', seg='annotations/panoptic_train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='mmext.VideoSampler'),  # videos are streams
    dataset=dict(
        type='mmext.CityscapesVPSDataset',
        data_root=data_root,
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(img='val/img_all/', seg='val/panoptic_video/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# windows of 1 to 4 labelled frames, 5 frames apart: k = 0, 5, 10, 15
val_evaluator = dict(_delete_=True, type='mmext.VideoPanopticQualityMetric', classwise=True)
test_evaluator = val_evaluator
