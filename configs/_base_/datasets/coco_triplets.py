"""COCO for keypoint triplets: crops of 511 px to learn from, images of their own size to test.

Duan et al., "CenterNet: Keypoint Triplets for Object Detection", ICCV 2019, with the numbers of
the released training code. Of its augmentation one thing differs: the host's crop keeps a box whose
middle is inside, not every box of which something is.

Expects COCO 2017 in `data/coco`, as mmdet does.
"""

_base_ = 'mmdet::_base_/datasets/coco_detection.py'

train_pipeline = [
    dict(type='mmext.LoadImageFromFile', to_float32=True),  # as the host's crop demands
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.CenterNetColorJitter', strength=0.4, lighting=0.1),
    dict(
        type='RandomCenterCropPad',
        crop_size=(511, 511),  # section 4.1
        ratios=(0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3),
        border=128,
        mean=[104.0136, 114.0342, 119.9166],  # padding has the mean color of the model
        std=[73.6028, 69.8908, 70.9151],
        to_rgb=False,
        test_pad_mode=None,
    ),
    dict(type='Resize', scale=(511, 511), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
canvas = dict(
    type='RandomCenterCropPad',
    crop_size=None,
    ratios=None,
    border=None,
    mean=[0, 0, 0],  # padding is black
    std=[1, 1, 1],
    to_rgb=False,
    test_mode=True,
    test_pad_mode=['logical_or', 127],
)
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'border', 'scale_factor')
pack = dict(type='PackDetInputs', meta_keys=meta_keys)
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', to_float32=True),
    canvas,
    dict(type='LoadAnnotations', with_bbox=True),
    pack,
]
# 8 GPUs, 6 images each
train_dataloader = dict(
    batch_size=6,
    num_workers=4,
    sampler=dict(type='InfiniteSampler'),
    batch_sampler=None,
    dataset=dict(type='mmext.CocoDataset', pipeline=train_pipeline),
)
# images keep their sizes: a batch of several would pad them, and padding is seen by the poolings
val_dataloader = dict(batch_size=1, dataset=dict(type='mmext.CocoDataset', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='mmext.CocoDetectionMetric',
    ann_file='data/coco/annotations/instances_val2017.json',
    false_discovery=True,  # table 3
)
test_evaluator = val_evaluator

# section 4.1, several scales
tta_pipeline = [
    dict(type='mmext.LoadImageFromFile', to_float32=True),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale_factor=scale, keep_ratio=True)
                for scale in (0.6, 1.0, 1.2, 1.5, 1.8)
            ],
            [canvas],
            [dict(type='LoadAnnotations', with_bbox=True)],
            [pack],
        ],
    ),
]
