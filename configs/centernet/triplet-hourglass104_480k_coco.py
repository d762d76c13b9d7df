"""CenterNet with keypoint triplets, Hourglass-104, COCO.

Duan et al., "CenterNet: Keypoint Triplets for Object Detection", ICCV 2019. The paper reports box
AP 44.9 on test-dev with single-scale testing and 47.0 at several scales (table 2).
"""

_base_ = [
    '../_base_/models/centernet_triplet_hourglass104.py',
    '../_base_/datasets/coco_triplets.py',
    '../_base_/schedules/triplets_480k.py',
]
