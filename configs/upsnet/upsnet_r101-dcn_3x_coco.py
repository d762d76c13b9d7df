"""UPSNet, deformable ResNet-101, multi-scale 3x schedule, COCO panoptic.

Released configuration of Xiong et al., CVPR 2019: every 3x3 convolution of the last three
stages is deformable (v1). It reports PQ 46.6 (things 53.2, stuff 36.7) on test-dev.
"""

_base_ = './upsnet_r101_coco.py'

model = dict(
    backbone=dict(
        dcn=dict(type='mmext.DeformConv2dPack', deform_groups=1, fallback_on_stride=False),
        stage_with_dcn=(False, True, True, True),
    )
)

# short side 640..832 in steps of 32
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmext.LoadImageFromFile'),
            dict(type='mmext.LoadPanopticAnnotations'),
            dict(
                type='RandomChoiceResize',
                scales=[(1333, side) for side in range(640, 833, 32)],
                keep_ratio=True,
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ]
    )
)

# 270k iterations of 16 images, divided by 10 after 210k and 250k
train_cfg = dict(max_iters=270_000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=1500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[210_000, 250_000], gamma=0.1),
]
