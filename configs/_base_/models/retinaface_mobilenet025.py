"""The small RetinaFace: MobileNetV1 x0.25, the network of biubug6/Pytorch_Retinaface."""

model = dict(
    type='mmext.RetinaFace',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[104.0, 117.0, 123.0],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
    ),
    backbone=dict(type='mmext.MobileNetV1', widen_factor=0.25),
    neck=dict(
        type='mmext.FaceFPN',
        in_channels=[64, 128, 256],
        out_channels=64,
        act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
    ),
    bbox_head=dict(type='mmext.RetinaFaceHead', in_channels=64, preset='pytorch'),
    test_cfg=dict(
        score_thr=0.02,
        nms_pre=5000,
        nms=dict(type='nms', iou_threshold=0.4, offset=1),
        max_per_img=750,
    ),
)
