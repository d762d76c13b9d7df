"""CenterNet with keypoint triplets, Hourglass-52: box AP 41.6 on test-dev (table 2)."""

_base_ = './triplet-hourglass104_480k_coco.py'

model = dict(backbone=dict(num_stacks=1), bbox_head=dict(num_stacks=1))
