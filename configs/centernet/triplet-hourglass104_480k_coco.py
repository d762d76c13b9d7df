"""CenterNet with keypoint triplets, Hourglass-104, COCO.

Duan et al., "CenterNet: Keypoint Triplets for Object Detection", ICCV 2019. The paper reports box
AP 44.9 on test-dev with single-scale testing and 47.0 at several scales (table 2).

A delta to mmdet's CornerNet configuration, with the numbers of the released training code. Of its
augmentation one thing differs: the host's crop keeps a box whose middle is inside, not every box
of which something is.

Expects COCO 2017 in `data/coco`, as mmdet does.
"""

_base_ = 'mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py'

# BGR, as released; padding in training has the mean colour, in testing it is black
mean = [104.0136, 114.0342, 119.9166]
std = [73.6028, 69.8908, 70.9151]

model = dict(
    type='mmext.CenterNetTripletDetector',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=mean, std=std, bgr_to_rgb=False),
    backbone=dict(type='mmext.HourglassNet'),
    bbox_head=dict(
        _delete_=True,
        type='mmext.CenterNetTripletHead',
        num_classes=80,
        in_channels=256,
        num_stacks=2,
        loss_weights=dict(heatmap=1.0, pull=0.1, push=0.1, offset=1.0),  # section 3.3
    ),
    test_cfg=dict(
        _delete_=True,
        top_k=70,  # section 4.1
        max_tag_distance=0.5,
        max_pairs=1000,
        max_per_img=100,
        flip=True,  # section 4.1: original and flipped image together
    ),
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile', to_float32=True),  # as the host's crop demands
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.CenterNetColorJitter', strength=0.4, lighting=0.1),
    dict(
        type='RandomCenterCropPad',
        crop_size=(511, 511),  # section 4.1
        ratios=(0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3),
        border=128,
        mean=mean,
        std=std,
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
    mean=[0, 0, 0],
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

# released training code: 480k iterations of 48 images, divided by 10 after 450k
train_cfg = dict(
    _delete_=True,
    type='IterBasedTrainLoop',
    max_iters=480_000,
    val_interval=20_000,
)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=2.5e-4), clip_grad=None)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[450_000], gamma=0.1),
]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=20_000, max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook'),
)
log_processor = dict(by_epoch=False)

# tools/test.py --tta: section 4.1, several scales
tta_model = dict(_delete_=True, type='mmext.CenterNetTripletTTA')
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
