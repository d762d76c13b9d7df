"""Objects as points on ResNet-18 with deformable up-convolutions.

Zhou et al., "Objects as Points", 2019, section 5 and appendix. Published COCO val AP of the
released weights (repository's table): 28.1 plain, 30.0 flipped, 33.2 at several scales. Not
trained again here. Without deformable convolutions: `model.neck.conv_cfg=None`.
"""

_base_ = [
    '../_base_/models/centernet_points.py',
    '../_base_/datasets/coco_points.py',
    '../_base_/schedules/points_140e.py',
]

model = dict(
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
    ),
    neck=dict(type='mmext.CenterNetDeconvNeck', in_channels=512, out_channels=(256, 128, 64)),
    bbox_head=dict(in_channels=64, feat_channels=64),
)
# the released run had 114 images on 4 GPUs at lr 5e-4 (repository's scripts); batch 128 as the
# paper's section 5 here
