"""Objects as points on ResNet-101 with deformable up-convolutions.

Zhou et al., "Objects as Points", 2019, section 5. Published COCO val AP of the released weights
(repository's table): 34.6 plain, 36.2 flipped, 39.3 at several scales. Not trained again here.
"""

_base_ = './point-r18-dcn_140e_coco.py'

model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')
    ),
    neck=dict(in_channels=2048),
)
# 96 images in all at lr 3.75e-4 (repository's scripts)
train_dataloader = dict(batch_size=12)
optim_wrapper = dict(optimizer=dict(lr=3.75e-4))
auto_scale_lr = dict(base_batch_size=96)
