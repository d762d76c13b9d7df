"""DensePose-COCO: persons of COCO 2014 with points and masks of their surface.

For non-commercial use, to be fetched by the user: COCO's images of 2014, DensePose's annotations,
its mirror tables, and SMPL's surface in the form of `mmext/formats/surface_files.py`.
"""

data_root = 'data/densepose_coco/'
dataset_type = 'mmext.CocoDensePoseDataset'
backend_args = None

train_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args=backend_args),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.LoadSurface', mirror=data_root + 'densepose/UV_symmetry_transforms.mat'),
    dict(
        type='RandomChoiceResize',
        scales=[(1333, side) for side in range(640, 801, 32)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args=backend_args),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='PackDetInputs'),
]
# detectron2 leaves out images without a person whose surface is annotated; here they may train
train_set = dict(
    type=dataset_type,
    data_root=data_root,
    filter_cfg=dict(filter_empty_gt=True, with_surface=True),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    batch_size=2,  # 8 GPUs
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                ann_file='annotations/densepose_train2014.json',
                data_prefix=dict(img='train2014/'),
                **train_set,
            ),
            dict(
                ann_file='annotations/densepose_valminusminival2014.json',
                data_prefix=dict(img='val2014/'),
                **train_set,
            ),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/densepose_minival2014.json',
        data_prefix=dict(img='val2014/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=16)
val_evaluator = [
    dict(
        type='mmext.SurfaceMetric',
        ann_file=data_root + 'annotations/densepose_minival2014.json',
        surface=data_root + 'densepose/surface',
    ),
    dict(
        type='mmext.CocoDetectionMetric',
        ann_file=data_root + 'annotations/densepose_minival2014.json',
    ),
]
test_evaluator = val_evaluator
