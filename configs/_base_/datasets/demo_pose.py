"""The generated faces of `mmext.demo` and their five landmarks as key points.

`python -m mmext.demo faces --out data/demo_faces` writes the data set, also in COCO's key point
format.
"""

_base_ = './coco_pose.py'

data_root = 'data/demo_faces/'
flip_pairs = ((0, 1), (3, 4))  # for the head, see coco_pose.py
faces = dict(
    data_root=data_root,
    landmark_set='face_5',
    # COCO's of eyes and nose, for the corners of the mouth that of the nose; relative to the
    # face here, where COCO means a whole person: a strict measure
    metainfo=dict(palette=[(220, 20, 60)], sigmas=(0.025, 0.025, 0.026, 0.026, 0.026)),
    data_prefix=dict(img=''),
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    # windows of 102 to 230 px of pictures of 256, for faces of 15 to 210: 0.6 to 1.25 of their size
    dict(type='mmext.RandomCenterWarp', size=(128, 128), scales=(0.4, 0.9)),
    dict(type='mmext.CenterNetColorJitter', strength=0.2),
    dict(type='mmext.PackKeypointInputs', outside='hide'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    batch_sampler=None,
    dataset=dict(
        ann_file='annotations/face_keypoints_train.json', pipeline=train_pipeline, **faces
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(ann_file='annotations/face_keypoints_val.json', **faces),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='mmext.KeypointOKSMetric',
        ann_file=data_root + 'annotations/face_keypoints_val.json',
    ),
    dict(type='mmext.LandmarkNMEMetric'),
    dict(
        type='mmext.CocoDetectionMetric',
        ann_file=data_root + 'annotations/face_keypoints_val.json',
    ),
]
test_evaluator = val_evaluator
