"""YolactEdge on MobileNetV2."""

_base_ = './yolact-edge_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmext.YolactMobileNetV2',
        out_indices=(2, 3, 5),  # 32, 64 and 160 channels at strides 8, 16, 32
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://mmdet/mobilenet_v2'),
    ),
    neck=dict(in_channels=[32, 64, 160]),
)
