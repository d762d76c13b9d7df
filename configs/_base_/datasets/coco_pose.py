"""Human pose as points on COCO: data and tests of the paper.

Zhou et al., "Objects as Points", 2019, sections 4.2 and 5.3. For other points give the data sets
`metainfo` with `classes`, `keypoints`, `flip_pairs`, `skeleton` and `sigmas`, and the head
their number and pairs.
"""

_base_ = './coco_points.py'

# joints that swap in a mirror image, for the heads: pictures that come from no data set, as those
# of tools/infer.py, do not say it
flip_pairs = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))

train_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.RandomCenterWarp', size=(512, 512), scales=(0.6, 1.3), flip_prob=0.5),
    dict(type='mmext.CenterNetColorJitter', strength=0.4, lighting=0.1),
    dict(type='mmext.PackKeypointInputs', outside='hide'),
]
test_meta_keys = (
    *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'border'),
    'flip_pairs',
)
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='mmext.CenterWarp', resolution='keep', divisor=32),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.PackKeypointInputs', outside='keep', meta_keys=test_meta_keys),
]
train_dataloader = dict(
    dataset=dict(
        type='mmext.CocoKeypointDataset',
        ann_file='annotations/person_keypoints_train2017.json',
        filter_cfg=dict(filter_empty_gt=True),  # 64,115 images with a person (released code)
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmext.CocoKeypointDataset',
        ann_file='annotations/person_keypoints_val2017.json',
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='mmext.KeypointOKSMetric',
    ann_file=_base_.data_root + 'annotations/person_keypoints_val2017.json',
)
test_evaluator = val_evaluator
tta_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='mmext.CenterWarp', resolution='keep', divisor=32, scale=scale)
                for scale in (0.5, 0.75, 1.0, 1.25, 1.5)
            ],
            [dict(type='LoadAnnotations', with_bbox=True)],
            [dict(type='mmext.LoadKeypoints')],
            [dict(type='mmext.PackKeypointInputs', outside='keep', meta_keys=test_meta_keys)],
        ],
    ),
]
