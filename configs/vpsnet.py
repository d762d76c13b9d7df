"""VPSNet ("FuseTrack"), ResNet-50, Cityscapes-VPS: the headline configuration.

Kim et al., "Video Panoptic Segmentation", CVPR 2020; weights and schedule are those of the
released configuration. Reported VPQ on val (from memory of table 3, not checked against the
paper): 57.2, things 44.7, stuff 66.6; as re-evaluated by ViP-DeepLab (CVPR 2021) 57.4, 44.8, 66.7.
These start from weights trained on VIPER and Cityscapes; a user who reproduced them from the
released initial weights reports 55.6 (issue 20 of the released code).

Two things differ: the flow is DIS instead of FlowNet2, whose weights are for research only, and
the fuse neck samples with `align_corners=True`.
"""

_base_ = [
    './_base_/models/vpsnet_r50.py',
    './_base_/datasets/cityscapes_vps.py',
    './_base_/schedules/upsnet_90k.py',
]

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
