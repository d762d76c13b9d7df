"""UPSNet made small; backbone, pyramid and RoI heads are those of the small Panoptic FPN."""

_base_ = './panoptic-fpn_demo.py'

model = dict(
    type='mmext.UPSNet',
    num_things_classes=5,
    num_stuff_classes=5,
    semantic_head=dict(
        _delete_=True,
        type='mmext.UPSNetSemanticHead',
        in_channels=64,
        inner_channels=64,
        num_layers=2,
        norm_cfg=dict(type='GN', num_groups=8),
        loss_weight=1.0,
        roi_loss_weight=0.2,
    ),
    panoptic_fusion_head=dict(_delete_=True, type='mmext.UPSNetPanopticHead', loss_weight=0.5),
    test_cfg=dict(
        rcnn=dict(score_thr=0.05, nms=dict(class_agnostic=False)),
        panoptic=dict(
            _delete_=True,
            score_thr=0.6,
            nms=dict(type='nms', iou_threshold=0.5, class_agnostic=True),
            max_per_img=100,
            mask_overlap=0.3,
            stuff_area_limit=218,  # 128 x 128 / (640 x 480) of COCO's 4096
        ),
    ),
)
