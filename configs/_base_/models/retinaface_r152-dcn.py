"""RetinaFace as published: ResNet-152, five levels, deformable context.

Deng et al., arXiv 1905.00641 v2.
"""

_base_ = './retinaface_r50.py'

model = dict(
    # those of the backbone's weights
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        depth=152,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet152'),
    ),
    neck=dict(
        in_channels=[256, 512, 1024, 2048],
        num_extra=1,  # P6
        conv_cfg=dict(type='mmext.ModulatedDeformConv2dPack', deform_groups=1),
    ),
    bbox_head=dict(preset='paper', shared=True),
    test_cfg=dict(nms=dict(iou_threshold=0.4)),
)
