"""VPSNet ("FuseTrack") on ResNet-50 for the classes of Cityscapes.

A delta to UPSNet. Numbers are those of the configuration released with Kim et al., "Video Panoptic
Segmentation", CVPR 2020.
"""

_base_ = './upsnet_r50.py'

model = dict(
    type='mmext.VPSNet',
    num_things_classes=8,
    num_stuff_classes=11,
    data_preprocessor=dict(
        type='mmext.VideoPairDataPreprocessor',
        # PyTorch weights: RGB, ImageNet's mean and deviation
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        norm_cfg=dict(requires_grad=True),
        style='pytorch',
        # torchvision's first ImageNet weights, by address: its name for them needs the package
        init_cfg=dict(checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth'),
    ),
    fuse_neck=dict(type='mmext.FuseNeck'),
    optical_flow=dict(type='mmext.DISFlow'),
    track_head=dict(type='mmext.TrackHead', loss_weight=0.5),
    tracker=dict(type='mmext.VPSNetTracker'),
    semantic_head=dict(num_layers=3, norm_cfg=dict(type='GN', num_groups=32), loss_weight=1.0),
    # released: neither an unknown channel nor instances hidden from it
    panoptic_fusion_head=dict(loss_weight=0.5, with_unknown=False, keep_fraction=1.0),
    test_cfg=dict(panoptic=dict(stuff_area_limit=2048)),
)
