"""RetinaFace with landmarks, mesh and attributes on generated faces: minutes on two CPU cores.

`python -m mmext.demo faces --out data/demo_faces` writes the data set. Neck and head are those of
the small network. The backbone is a ResNet-18 of three eighths of the width without its last
stage: from random weights it learns in far fewer steps than MobileNetV1 x0.25, whose depthwise
convolutions are slow on CPUs in the backward pass. Landmarks and mesh are what a second look at
each face says (`close_up`); without it they come from the head, as the attributes do.
"""

_base_ = ['./_base_/retinaface_mobilenet025.py', './_base_/wider_face.py']

data_root = 'data/demo_faces/'
attributes = [
    dict(name='glasses', values=('no', 'yes'), kind='binary'),
    dict(name='hat', values=('no', 'yes'), kind='binary'),
    dict(name='expression', values=('neutral', 'smile', 'surprise', 'frown'), kind='categorical'),
    dict(name='age', values=('child', 'young', 'middle', 'old'), kind='ordinal'),
]
# the mesh of the generated heads is a grid; in mirror images its columns swap
rows, columns = 11, 9
mesh_triangles = [
    corner
    for row in range(rows - 1)
    for cell in range(row * columns, row * columns + columns - 1)
    for corner in ((cell, cell + 1, cell + columns), (cell + 1, cell + columns + 1, cell + columns))
]
mesh_flip_pairs = [
    (row * columns + column, row * columns + columns - 1 - column)
    for row in range(rows)
    for column in range(columns // 2)
]

model = dict(
    mesh_flip_pairs=mesh_flip_pairs,
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=24,
        stem_channels=24,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(1, 2),
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[48, 96]),
    bbox_head=dict(
        rules=dict(
            # faces of 13 to 210 px in pictures of 256; on fine levels, for points and expressions
            priors=dict(strides=(8, 16), sizes_px=((16, 25, 39), (61, 95, 148))),
            mining=dict(min_negatives=32),  # pictures without faces teach as well
            # errors of a few percent of a face still pull at full strength
            losses=dict(beta=0.1, landmark_weight=1.5),
        ),
        attributes=dict(table=attributes, hidden_channels=64, weight=4.0),
        mesh=dict(num_vertices=rows * columns, triangles=mesh_triangles, hidden_channels=64),
    ),
    close_up=dict(
        # without attributes, which disturb the landmarks there
        type='mmext.CloseUp',
        # in sides of the crop, a tenth of the head's units
        mesh=dict(num_vertices=rows * columns, vertex_weight=10.0),
    ),
    test_cfg=dict(score_thr=0.02, nms_pre=1000, max_per_img=100),
)

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

max_iters = 3000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=20.0),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
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
