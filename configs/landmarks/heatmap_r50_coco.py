"""Simple baseline: heat-maps by three transposed convolutions on ResNet-50, persons of COCO.

Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018: AP 70.4 on
val2017 with detected boxes. Not trained again here. Tests take the boxes of the annotations; give
the model a `detector` for others.
"""

_base_ = [
    '../_base_/datasets/mpii_landmarks.py',
    '../_base_/schedules/hourglass_800k.py',
]

data_root = 'data/coco/'
flip_pairs = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
input_size = (192, 256)  # section 3

model = dict(
    type='mmext.CropLandmarkEstimator',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=True),
    input_size=input_size,
    margin={{_base_.margin}},
    flip_pairs=flip_pairs,
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(3,),
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    head=dict(
        type='mmext.HeatmapHead',
        num_points=17,
        in_channels=2048,
        deconv_channels=(256, 256, 256),  # section 2
        codec=dict(stamp='dark', decoder='taylor'),
    ),
    test_cfg=dict(flip=True),
)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='RandomFlip', prob=0.5),
    # +-30 % and +-40 degrees: section 3
    dict(type='mmext.CropInstance', size=input_size, shift=0, scale=0.15, rotation=20),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
dataset = dict(
    data_root=data_root,
    metainfo=dict(_delete_=True, classes=('person',)),
)
train_dataloader = dict(
    batch_size=32,  # 4 GPUs
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/person_keypoints_val2017.json',
        data_prefix=dict(img='val2017/'),
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='mmext.KeypointOKSMetric',
    ann_file=data_root + 'annotations/person_keypoints_val2017.json',
)
test_evaluator = val_evaluator

# Adam at 1e-3, drops at 90 and 120 of 140 epochs, batch 128: section 3
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=140, val_interval=10)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=1e-3))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[90, 120], gamma=0.1)]
auto_scale_lr = dict(base_batch_size=128)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=10))
log_processor = dict(by_epoch=True)
