"""Cityscapes panoptic at the sizes of UPSNet's released configuration.

Expects in `data/cityscapes` the images in `leftImg8bit/{train,val}/<city>/` and in
`annotations/` `cityscapes_panoptic_{train,val}.json` beside their PNG folders
`cityscapes_panoptic_{train,val}/`, as `csCreatePanopticImgs` of cityscapesScripts writes them.
"""

_base_ = './coco_panoptic.py'

data_root = 'data/cityscapes/'
train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(
        type='RandomChoiceResize',
        scales=[(2048, side) for side in range(800, 1025, 32)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (2048, 1024)
train_dataloader = dict(
    dataset=dict(
        type='mmext.CityscapesPanopticDataset',
        data_root=data_root,
        ann_file='annotations/cityscapes_panoptic_train.json',
        data_prefix=dict(img='leftImg8bit/train/', seg='annotations/cityscapes_panoptic_train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='mmext.CityscapesPanopticDataset',
        data_root=data_root,
        ann_file='annotations/cityscapes_panoptic_val.json',
        data_prefix=dict(img='leftImg8bit/val/', seg='annotations/cityscapes_panoptic_val/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
# boxes and masks are those of the panoptic files
val_evaluator = [
    dict(type='mmext.PanopticQualityMetric'),
    dict(type='mmext.CocoDetectionMetric', metric=['bbox', 'segm']),
    dict(type='SemSegMetric'),
]
test_evaluator = val_evaluator
