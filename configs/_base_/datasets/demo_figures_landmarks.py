"""Seventeen joints of generated persons, a person a crop.

`python -m mmext.demo figures --out data/demo_figures` writes the data set.
"""

data_root = 'data/demo_figures/'
# left and right of COCO's points
flip_pairs = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
input_size = (64, 96)  # boxes of standing persons are two to three times as high as wide
margin = 1.25

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.CropInstance', size=input_size, margin=margin),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
dataset = dict(type='mmext.CocoLandmarkDataset', data_root=data_root)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=8,
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
    dict(type='mmext.LandmarkPCKhMetric', ann_file=ann_file),
    dict(type='mmext.KeypointOKSMetric', ann_file=ann_file),
]
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=32)
