"""UPSNet, ResNet-50, COCO panoptic: the headline configuration.

Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network", CVPR 2019. Schedule
and weights are those of the released COCO configuration; it reports PQ 42.5 (things
48.5, stuff 33.4) on val2017.
"""

_base_ = './_base_/upsnet_r50_fpn_coco.py'

# COCO only: global context on top of the pyramid and the RoI loss
model = dict(
    neck=dict(type='mmext.GlobalContextFPN'),
    semantic_head=dict(num_layers=3, loss_weight=0.2, roi_loss_weight=0.04),  # 0.2 * 0.2
    panoptic_fusion_head=dict(loss_weight=0.1),
)

# 90k iterations of 16 images, divided by 10 after 60k and 80k
train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
train_cfg = dict(
    _delete_=True,
    type='IterBasedTrainLoop',
    max_iters=90_000,
    val_interval=10_000,
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=1500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[60_000, 80_000], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10_000, max_keep_ckpts=3))
log_processor = dict(by_epoch=False)
