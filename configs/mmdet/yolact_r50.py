"""mmdet's YOLACT, ResNet-50, with MLflow, mixed precision and the evaluation of mmext."""

_base_ = [
    'mmdet::yolact/yolact_r50_8xb8-55e_coco.py',
    '../_base_/schedules/mmext_hooks.py',
]

val_evaluator = dict(
    _delete_=True,
    type='mmext.CocoDetectionMetric',
    ann_file='data/coco/annotations/instances_val2017.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
default_hooks = {{_base_.mmext_hooks}}
