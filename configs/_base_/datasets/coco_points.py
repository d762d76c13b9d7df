"""Objects as points on COCO: data, augmentation and tests of the paper.

Zhou et al., "Objects as Points", 2019, section 5; numbers that the paper does not print are
those of the released code.
"""

_base_ = 'mmdet::_base_/datasets/coco_detection.py'

train_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='LoadAnnotations', with_bbox=True),
    # scale 0.6 to 1.3, crop, flip: section 5; 512 x 512: section 5
    dict(type='mmext.RandomCenterWarp', size=(512, 512), scales=(0.6, 1.3), flip_prob=0.5),
    dict(type='mmext.CenterNetColorJitter', strength=0.4, lighting=0.1),
    dict(type='PackDetInputs'),
]
# the original resolution, padded: section 5.1
test_meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'border')
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='mmext.CenterWarp', resolution='keep', divisor=32),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=test_meta_keys),
]
train_dataloader = dict(
    batch_size=16,  # 8 GPUs; 128 in all: section 5
    num_workers=4,
    # all images, also those without an object: released code
    dataset=dict(
        type='mmext.CocoDataset',
        filter_cfg=dict(_delete_=True, filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
# images keep their sizes, so a batch is one image
val_dataloader = dict(batch_size=1, dataset=dict(type='mmext.CocoDataset', pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True,
    type='mmext.CocoDetectionMetric',
    ann_file=_base_.data_root + 'annotations/instances_val2017.json',
)
test_evaluator = val_evaluator

# multi-scale test; scales of section 5.1
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
            [dict(type='PackDetInputs', meta_keys=test_meta_keys)],
        ],
    ),
]
