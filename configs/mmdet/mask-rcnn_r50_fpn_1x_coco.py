"""mmdet's Mask R-CNN, ResNet-50, with MLflow, mixed precision and the evaluation of mmext.

RoIs are cropped by `mmext.SingleRoIExtractor`, which is fast on CPUs.
"""

_base_ = [
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    '../_base_/schedules/mmext_hooks.py',
]

model = dict(
    roi_head=dict(
        bbox_roi_extractor=dict(type='mmext.SingleRoIExtractor'),
        mask_roi_extractor=dict(type='mmext.SingleRoIExtractor'),
    )
)
val_evaluator = dict(
    _delete_=True,
    type='mmext.CocoDetectionMetric',
    ann_file='data/coco/annotations/instances_val2017.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
default_hooks = {{_base_.mmext_hooks}}
