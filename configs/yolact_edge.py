"""YolactEdge, ResNet-101, COCO: the headline configuration, its image model.

Liu et al., "YolactEdge: Real-time Instance Segmentation on the Edge", ICRA 2021. The released
weights reach 29.5 mask AP on val2017 with the paper's quantisation, and 29.8 without (repository's
table). Not trained again here.
"""

_base_ = [
    './_base_/models/yolact-edge_r101.py',
    './_base_/datasets/coco_instances_550.py',
    './_base_/schedules/yolact_800k.py',
]
