"""Objects as points with key points, made small: faces and their five landmarks.

`python -m mmext.demo faces --out data/demo_faces` writes the data set, also in COCO's key point
format. The network is that of `centernet_demo.py` with the branches of the joints, from random
initialisation. Held-out: box AP50 90.0, landmark NME 10.5 % of the box, OKS AP50 26.0. For OKS a
face is half right at an error of 6 % of its box: minutes of training are little for that.
"""

_base_ = './centernet/pose-dla34_140e_coco.py'

data_root = 'data/demo_faces/'
flip_pairs = ((0, 1), (3, 4))
metainfo = dict(
    classes=('face',),
    palette=[(220, 20, 60)],
    keypoints=('left_eye', 'right_eye', 'nose', 'left_mouth', 'right_mouth'),
    flip_pairs=flip_pairs,
    skeleton=((0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)),
    # COCO's of eyes and nose, for the corners of the mouth that of the nose; relative to the
    # face here, where COCO means a whole person: a strict measure
    sigmas=(0.025, 0.025, 0.026, 0.026, 0.026),
)

model = dict(
    backbone=dict(widths=(8, 16, 32, 64, 128, 256)),
    neck=dict(in_channels=(32, 64, 128, 256), conv_cfg=None),
    bbox_head=dict(num_joints=5, flip_pairs=flip_pairs, in_channels=32, feat_channels=64),
    test_cfg=dict(max_per_img=50),
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
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/face_keypoints_train.json',
        data_prefix=dict(img=''),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/face_keypoints_val.json',
        data_prefix=dict(img=''),
    ),
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

max_iters = 1000
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters
)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=10.0),
)
auto_scale_lr = dict(base_batch_size=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=max_iters),
    sync_buffers=dict(type='mmext.SyncBuffersHook'),  # its BatchNorm learns
)
log_processor = dict(by_epoch=False, window_size=20)
randomness = dict(seed=0)
