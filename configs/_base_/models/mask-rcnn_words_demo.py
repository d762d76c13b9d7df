"""The demo's Mask R-CNN, whose boxes and masks know no classes, and whose classes are words."""

_base_ = './panoptic-fpn_demo.py'

roi_head = _base_.model.roi_head
roi_head.type = 'mmext.EmbeddingRoIHead'
roi_head.bbox_head.reg_class_agnostic = True
roi_head.bbox_head.cls_predictor_cfg = dict(
    type='mmext.EmbeddingClassifier',
    words=('ball', 'crate', 'tree', 'mushroom', 'fish'),
    dim=64,
)
roi_head.mask_head.class_agnostic = True
model = dict(
    _delete_=True,
    type='MaskRCNN',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    rpn_head=_base_.model.rpn_head,
    roi_head=roi_head,
    train_cfg=_base_.model.train_cfg,
    test_cfg=dict(rpn=_base_.model.test_cfg.rpn, rcnn=_base_.model.test_cfg.rcnn),
)
