"""RetinaFace on ResNet-50 as in biubug6/Pytorch_Retinaface: a delta to the small network."""

_base_ = './retinaface_mobilenet025.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        out_indices=(1, 2, 3),
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        in_channels=[512, 1024, 2048],
        out_channels=256,
        act_cfg=dict(_delete_=True, type='ReLU'),  # its leaky ReLU has slope 0 from 65 channels on
    ),
    bbox_head=dict(in_channels=256),
)
