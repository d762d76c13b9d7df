"""Five landmarks of generated faces on crops: data, model but for its head, schedule.

`python -m mmext.demo faces --out data/demo_faces` writes the data set. The backbone is a ResNet-18
of three eighths of the width without its last stage.
"""

_base_ = ['mmdet::_base_/default_runtime.py']

data_root = 'data/demo_faces/'
flip_pairs = ((0, 1), (3, 4))
metainfo = dict(
    classes=('face',),
    palette=[(220, 20, 60)],
    keypoints=('left_eye', 'right_eye', 'nose', 'left_mouth', 'right_mouth'),
    flip_pairs=flip_pairs,
    skeleton=((0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)),
    sigmas=(0.025, 0.025, 0.026, 0.026, 0.026),  # COCO's, see centernet_pose_demo.py
)
input_size = (64, 64)  # faces have 15 to 210 px

model = dict(
    type='mmext.CropLandmarkEstimator',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=True),
    input_size=input_size,
    margin=1.4,
    flip_pairs=flip_pairs,
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=24,
        stem_channels=24,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),  # 96 channels, a sixteenth of the sides
        norm_cfg=dict(type='BN'),
        norm_eval=False,
    ),
    test_cfg=dict(flip=True, boxes='auto', max_crops=128),
)

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
    metainfo=metainfo,
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

max_iters = 1500
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=10.0),
)
auto_scale_lr = dict(enable=False, base_batch_size=32)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=max_iters),
    mlflow=dict(type='mmext.MLflowHook'),
    sync_buffers=dict(type='mmext.SyncBuffersHook'),  # its BatchNorm learns
)
log_processor = dict(by_epoch=False, window_size=20)
randomness = dict(seed=0)
