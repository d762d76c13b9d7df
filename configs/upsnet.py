"""UPSNet, ResNet-50, COCO panoptic: the headline configuration.

Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network", CVPR 2019. Schedule
and weights are those of the released COCO configuration; it reports PQ 42.5 (things
48.5, stuff 33.4) on val2017.
"""

_base_ = [
    './_base_/models/upsnet_r50.py',
    './_base_/datasets/coco_panoptic.py',
    './_base_/schedules/upsnet_90k.py',
]

# COCO only: global context on top of the pyramid and the RoI loss
model = dict(
    neck=dict(type='mmext.GlobalContextFPN'),
    semantic_head=dict(num_layers=3, loss_weight=0.2, roi_loss_weight=0.04),  # 0.2 * 0.2
    panoptic_fusion_head=dict(loss_weight=0.1),
)
