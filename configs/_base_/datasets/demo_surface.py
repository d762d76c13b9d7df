"""The generated figures of `mmext.demo`: boxes, masks, key points and surface.

`python -m mmext.demo figures --out data/demo_figures` writes the data set in COCO's and
DensePose-COCO's formats.
"""

_base_ = './densepose_coco.py'

data_root = 'data/demo_figures/'
scale = (192, 192)

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.LoadSurface', mirror=data_root + 'surface'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.PackKeypointInputs', outside='keep'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        _delete_=True,
        type='mmext.CocoDensePoseDataset',
        data_root=data_root,
        ann_file='annotations/densepose_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=False),  # empty images teach the background
        pipeline=train_pipeline,
    ),
)
ann_file = 'annotations/densepose_val2017.json'
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img='val2017/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=4)
val_evaluator = [
    dict(type='mmext.SurfaceMetric', ann_file=data_root + ann_file, surface=data_root + 'surface'),
    dict(type='mmext.KeypointOKSMetric', ann_file=data_root + ann_file),
    dict(type='mmext.CocoDetectionMetric', ann_file=data_root + ann_file, metric=['bbox', 'segm']),
]
test_evaluator = val_evaluator
