"""Human pose as points on DLA-34.

Zhou et al., "Objects as Points", 2019, section 5.3. Published COCO val key point AP of the
released weights, flipped (repository's table): 54.7 after 140 epochs, 58.9 after 320 (drops at
270 and 300). Not trained again here. The released runs started from the detector of the same
backbone: `load_from` a checkpoint of `centernet.py`.
"""

_base_ = [
    '../_base_/models/centernet_dla34_pose.py',
    '../_base_/datasets/coco_pose.py',
    '../_base_/schedules/points_140e.py',
]

model = dict(bbox_head=dict(flip_pairs={{_base_.flip_pairs}}))
