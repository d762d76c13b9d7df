"""Boxes, masks and joints of generated persons, whole images.

`python -m mmext.demo figures --out data/demo_figures` writes the data set.
"""

data_root = 'data/demo_figures/'
num_points = 17

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='Resize', scale=(192, 192), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=(192, 192), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
dataset = dict(type='mmext.CocoKeypointDataset', data_root=data_root)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=False),  # images with nobody teach the background
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='annotations/person_keypoints_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
ann_file = data_root + 'annotations/person_keypoints_val2017.json'
val_evaluator = [
    dict(type='mmext.CocoDetectionMetric', ann_file=ann_file, metric=['bbox', 'segm']),
    dict(type='mmext.KeypointOKSMetric', ann_file=ann_file),
    dict(type='mmext.LandmarkPCKhMetric', ann_file=ann_file),
]
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=4)
