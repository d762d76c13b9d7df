"""CenterNet, objects as points, on DLA-34: the paper's headline.

Zhou et al., "Objects as Points", 2019. Published COCO val AP of the released weights
(repository's table): 37.4 plain, 39.2 flipped, 41.7 at several scales after 230 epochs; 36.3,
38.2 and 40.7 after the 140 epochs of this file. Not trained again here.

The released model starts from DLA-34 of ImageNet: convert it with
`tools/convert_checkpoint.py dla34-imagenet SOURCE --config configs/centernet.py --out OUT` and set
`model.backbone.init_cfg=dict(type='Pretrained', checkpoint=OUT)`.
"""

_base_ = './_base_/centernet_point_coco.py'

model = dict(
    type='mmext.CenterNetPointDetector',
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(type='mmext.DLA'),
    neck=dict(type='mmext.DLAUpNeck', in_channels=(64, 128, 256, 512)),
    bbox_head=dict(
        type='mmext.CenterNetPointHead',
        num_classes=80,
        in_channels=64,
        feat_channels=256,  # section 5; released code
        size_weight=0.1,  # section 3
        offset_weight=1.0,  # section 3
        radius_mode='official',
    ),
    test_cfg=dict(topk=100, local_maximum_kernel=3, max_per_img=100, flip=True),  # section 4, 5.1
)
