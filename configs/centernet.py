"""CenterNet, objects as points, on DLA-34: the paper's headline.

Zhou et al., "Objects as Points", 2019. Published COCO val AP of the released weights
(repository's table): 37.4 plain, 39.2 flipped, 41.7 at several scales after 230 epochs; 36.3,
38.2 and 40.7 after the 140 epochs of this file. Not trained again here.

The released model starts from DLA-34 of ImageNet: convert it with
`tools/convert_checkpoint.py dla34-imagenet SOURCE --config configs/centernet.py --out OUT` and set
`model.backbone.init_cfg=dict(type='Pretrained', checkpoint=OUT)`.
"""

_base_ = [
    './_base_/models/centernet_dla34.py',
    './_base_/datasets/coco_points.py',
    './_base_/schedules/points_140e.py',
]
