"""YolactEdge on ResNet-50, the image model; numbers of the released code.

Liu et al., "YolactEdge", ICRA 2021; Bolya et al., "YOLACT", ICCV 2019.
"""

model = dict(
    type='mmext.YolactEdge',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.68, 116.78, 103.94],
        std=[58.40, 57.12, 57.38],
        bgr_to_rgb=True,
        pad_mask=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        type='mmext.YolactEdgeFPN', in_channels=[512, 1024, 2048], out_channels=256, num_outs=5
    ),
    bbox_head=dict(
        type='mmext.YolactEdgeHead',
        num_classes=80,
        in_channels=256,
        feat_channels=256,
        num_protos=32,
        # for inputs of 550 x 550
        anchor_generator=dict(type='mmext.SquareAnchorGenerator', scales_px=[24, 48, 96, 192, 384]),
        loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.5),
    ),
    mask_head=dict(
        type='mmext.YolactEdgeMaskHead',
        num_classes=80,
        in_channels=256,
        num_protos=32,
        max_masks_to_train=100,
        loss_mask_weight=6.125,
        with_seg_branch=True,
        loss_segm=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
    ),
    train_cfg=dict(
        matching=dict(positive_iou=0.5, negative_iou=0.4, crowd_share=0.7),
        mining=dict(negatives_per_positive=3.0, min_negatives=3),
    ),
    test_cfg=dict(
        score_thr=0.05,
        # instead of it dict(type='nms', iou_threshold=0.5): greedy, within each class
        nms=dict(type='fast', iou_threshold=0.5, top_k=200),
        max_per_img=100,
        mask_thr=0.5,
    ),
)
