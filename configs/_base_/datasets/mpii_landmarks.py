"""Human pose on MPII, one person a crop: data and augmentation of the paper.

Newell et al., "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016; numbers that the
paper does not print are those of the released code. The annotations are MPII's as COCO key points.
"""

data_root = 'data/mpii/'
flip_pairs = ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))
metainfo = dict(
    classes=('person',),
    palette=[(220, 20, 60)],
    keypoints=(
        *('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle'),
        *('pelvis', 'thorax', 'upper_neck', 'head_top', 'right_wrist', 'right_elbow'),
        *('right_shoulder', 'left_shoulder', 'left_elbow', 'left_wrist'),
    ),
    flip_pairs=flip_pairs,
    skeleton=(
        *((0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)),
        *((10, 11), (11, 12), (12, 7), (7, 13), (13, 14), (14, 15)),
    ),
)
input_size = (256, 256)  # section 3.1
margin = 1.25

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='RandomFlip', prob=0.5),
    # +-30 degrees and .75 to 1.25: section 3.1; normal here, as in the released code
    dict(
        type='mmext.CropInstance', size=input_size, margin=margin, shift=0, scale=0.17, rotation=30
    ),
    dict(type='mmext.CenterNetColorJitter', strength=0.4, lighting=0),
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
    metainfo=metainfo,
    data_prefix=dict(img='images/'),
)
train_dataloader = dict(
    batch_size=6,  # released code
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(ann_file='annotations/mpii_train.json', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='annotations/mpii_val.json', test_mode=True, pipeline=test_pipeline, **dataset
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='mmext.LandmarkPCKhMetric', ann_file=data_root + 'annotations/mpii_val.json'
)
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=6)
