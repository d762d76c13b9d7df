"""UPSNet, ResNet-50, Cityscapes panoptic.

Released configuration of Xiong et al., CVPR 2019; it reports PQ 59.3 (things 54.6, stuff
62.7) on val, with about 0.5 PQ between runs.

Expects in `data/cityscapes` the images in `leftImg8bit/{train,val}/<city>/` and in
`annotations/` `cityscapes_panoptic_{train,val}.json` beside their PNG folders
`cityscapes_panoptic_{train,val}/`, as `csCreatePanopticImgs` of cityscapesScripts writes them.
"""

_base_ = '../_base_/upsnet_r50_fpn_coco.py'

model = dict(
    num_things_classes=8,
    num_stuff_classes=11,
    semantic_head=dict(num_layers=2, loss_weight=1.0),  # no RoI loss on Cityscapes
    panoptic_fusion_head=dict(loss_weight=0.5),
    test_cfg=dict(panoptic=dict(stuff_area_limit=2048)),
)

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
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(
        type='PackDetInputs',
        meta_keys=(
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            *('seg_map_path', 'segments_info', 'instances'),  # the truth of the evaluators
        ),
    ),
]
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler'),
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

# 12k iterations of 16 images, divided by 10 after 9k
train_cfg = dict(
    _delete_=True,
    type='IterBasedTrainLoop',
    max_iters=12_000,
    val_interval=3000,
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=1500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[9000], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=3000, max_keep_ckpts=3))
log_processor = dict(by_epoch=False)
