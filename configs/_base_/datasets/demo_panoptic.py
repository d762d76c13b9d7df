"""The generated panoptic set of `mmext.demo`.

`make demo` writes it; `python -m mmext.demo panoptic --out data/demo_panoptic` writes it alone.
"""

_base_ = './coco_panoptic.py'

data_root = 'data/demo_panoptic/'
metainfo = dict(
    classes=(
        'ball', 'crate', 'tree', 'mushroom', 'fish', 'sky', 'grass', 'water', 'sand', 'road'
    ),
    thing_classes=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    stuff_classes=('sky', 'grass', 'water', 'sand', 'road'),
    palette=[
        *[(220, 20, 60), (250, 140, 30), (0, 120, 60), (165, 42, 165), (0, 60, 230)],
        *[(120, 190, 255), (150, 250, 130), (50, 130, 170), (240, 220, 130), (128, 100, 128)],
    ],
)  # fmt: skip

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(type='Resize', scale=(192, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (192, 128)
test_pipeline[-1].meta_keys = test_pipeline[-1].meta_keys[:-1]  # boxes and masks are in a file
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=4)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmext.PanopticQualityMetric'),
    dict(
        type='mmext.CocoDetectionMetric',
        ann_file='data/demo_panoptic/annotations/instances_val2017.json',
        metric=['bbox', 'segm'],
    ),
    dict(type='SemSegMetric'),
]
test_evaluator = val_evaluator
