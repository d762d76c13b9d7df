"""VPSNet ("FuseTrack"), ResNet-50, Cityscapes-VPS: the headline configuration.

Kim et al., "Video Panoptic Segmentation", CVPR 2020; weights and schedule are those of the
released configuration. Reported VPQ on val (from memory of table 3, not checked against the
paper): 57.2, things 44.7, stuff 66.6; as re-evaluated by ViP-DeepLab (CVPR 2021) 57.4, 44.8, 66.7.
These start from weights trained on VIPER and Cityscapes; a user who reproduced them from the
released initial weights reports 55.6 (issue 20 of the released code).

Two things differ: the flow is DIS instead of FlowNet2, whose weights are for research only, and
the fuse neck samples with `align_corners=True`.
"""

_base_ = './_base_/cityscapes_vps.py'

model = dict(
    type='mmext.VPSNet',
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
)

# 8 pairs; 12 epochs of 8 x 2400 frames, divided by 10 after 8 and 11
train_cfg = dict(max_iters=28_800, val_interval=2400)
optim_wrapper = dict(
    optimizer=dict(lr=0.005),
    paramwise_cfg=dict(_delete_=True),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[19_200, 26_400], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(interval=2400))
auto_scale_lr = dict(base_batch_size=8)
