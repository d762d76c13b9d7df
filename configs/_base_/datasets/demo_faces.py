"""The generated faces of `mmext.demo`: landmarks, mesh, attributes, and their evaluators.

`python -m mmext.demo faces --out data/demo_faces` writes the data set.
"""

_base_ = './wider_face.py'

data_root = 'data/demo_faces/'
side_px = 192  # crops of the pictures of 256 px, at 0.75 to 1.5 of their scale
train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadFaceAnnotations'),
    dict(type='mmext.RandomSquareCrop', scales=(0.5, 1.0), require='center'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=(side_px, side_px), keep_ratio=False),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(
        data_root=data_root,
        details_file='details/train.jsonl',
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(data_root=data_root, details_file='details/val.jsonl'),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='mmext.WiderFaceMetric',
        ground_truth=data_root + 'ground_truth',
        count_empty=True,  # stricter than the protocol: pictures without faces count
    ),
    dict(type='mmext.LandmarkNMEMetric'),
    dict(type='mmext.LandmarkNMEMetric', field='mesh', prefix='mesh'),
    dict(type='mmext.FaceAttributeMetric'),
]
test_evaluator = val_evaluator
