"""mmdet's CornerNet, Hourglass-104, with MLflow, mixed precision and the evaluation of mmext.

The hourglass is ours: `norm_cfg` reaches all of it, and `with_cp=True` trades time for memory.
"""

_base_ = [
    'mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py',
    '../_base_/schedules/mmext_hooks.py',
]

model = dict(backbone=dict(type='mmext.HourglassNet'))
val_evaluator = dict(
    _delete_=True,
    type='mmext.CocoDetectionMetric',
    ann_file='data/coco/annotations/instances_val2017.json',
    false_discovery=True,
)
test_evaluator = val_evaluator
default_hooks = {{_base_.mmext_hooks}}
