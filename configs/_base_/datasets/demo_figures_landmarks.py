"""Seventeen joints of generated persons, a person a crop.

`python -m mmext.demo figures --train 6000 --out data/demo_figures` writes the data set. Persons are
many, so that crops need little jitter.
"""

_base_ = './demo_figures_pose.py'

# left and right of COCO's points
flip_pairs = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
input_size = (96, 128)  # boxes of standing persons are two to three times as high as wide
margin = 1.25

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='mmext.CropInstance',
        size=input_size,
        margin=margin,
        shift=0.03,
        scale=0.08,
        rotation=5.0,
    ),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
test_pipeline = [train_pipeline[0], train_pipeline[1], train_pipeline[2], train_pipeline[-1]]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(type='mmext.CocoLandmarkDataset', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    dataset=dict(type='mmext.CocoLandmarkDataset', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = _base_.val_evaluator[1:]  # boxes are given
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=8)
