"""UPSNet, ResNet-50, Cityscapes panoptic.

Released configuration of Xiong et al., CVPR 2019; it reports PQ 59.3 (things 54.6, stuff
62.7) on val, with about 0.5 PQ between runs.
The data set's layout: `_base_/datasets/cityscapes_panoptic.py`.
"""

_base_ = [
    '../_base_/models/upsnet_r50.py',
    '../_base_/datasets/cityscapes_panoptic.py',
    '../_base_/schedules/upsnet_90k.py',
]

model = dict(
    num_things_classes=8,
    num_stuff_classes=11,
    semantic_head=dict(num_layers=2, loss_weight=1.0),  # no RoI loss on Cityscapes
    panoptic_fusion_head=dict(loss_weight=0.5),
    test_cfg=dict(panoptic=dict(stuff_area_limit=2048)),
)

# 12k iterations of 16 images, divided by 10 after 9k
train_cfg = dict(max_iters=12_000, val_interval=3000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=1500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[9000], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(interval=3000))
