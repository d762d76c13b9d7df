"""The generated panoptic set as pairs: the map is the source, the photo the target."""

_base_ = './demo_panoptic.py'

crop = 64
train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(type='RandomCrop', crop_size=(crop, crop), allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.ToCondition'),
    dict(type='mmext.PackTranslation'),
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(type='mmext.ToCondition'),
    dict(
        type='mmext.PackTranslation',
        meta_keys=(
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            *('seg_map_path', 'segments_info', 'instances'),
        ),
    ),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=8)
val_evaluator = [
    dict(
        type='mmext.DetectorJudge',
        config='mmext::upsnet_demo.py',
        checkpoint='work_dirs/upsnet_demo/iter_800.pth',
        metrics=[dict(type='mmext.PanopticQualityMetric')],
    ),
]
test_evaluator = val_evaluator
