"""Five landmarks of generated faces, a face a crop.

`python -m mmext.demo faces --out data/demo_faces` writes the data set.
"""

data_root = 'data/demo_faces/'
input_size = (64, 64)  # faces have 15 to 210 px

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.CropInstance', size=input_size, margin=1.4),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
dataset = dict(
    type='mmext.CocoLandmarkDataset',
    data_root=data_root,
    landmark_set='face_5',
    metainfo=dict(palette=[(220, 20, 60)]),
    data_prefix=dict(img=''),
)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/face_keypoints_train.json', pipeline=train_pipeline, **dataset
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='annotations/face_keypoints_val.json',
        test_mode=True,
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmext.LandmarkNMEMetric')
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=32)
