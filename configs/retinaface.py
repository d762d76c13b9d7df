"""RetinaFace, ResNet-50, WIDER FACE: the headline configuration.

Deng et al., "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020, in
the form and with the recipe of biubug6/Pytorch_Retinaface, whose checkpoints
`tools/convert_checkpoint.py retinaface` takes. It reports AP easy/medium/hard on WIDER FACE val
95.48 / 94.04 / 84.43 at the original size and 94.82 / 93.84 / 89.60 with
`retinaface/retinaface_r50_wider_1600.py`.
"""

_base_ = ['./_base_/retinaface_r50.py', './_base_/wider_face.py']

# inputs of 840 px
train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadFaceAnnotations'),
    dict(
        type='mmext.RandomSquareCrop',
        scales=(0.3, 0.45, 0.6, 0.8, 1.0),
        discrete=True,
        require='whole',
    ),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=(840, 840), keep_ratio=False),
    dict(type='mmext.PackKeypointInputs', outside='clamp'),
]
train_dataloader = dict(batch_size=6, dataset=dict(pipeline=train_pipeline))  # on 4 GPUs: 24
auto_scale_lr = dict(enable=False, base_batch_size=24)

# 100 epochs, divided by 10 after 70 and 90; its warm-up is switched off
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=10)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[70, 90], gamma=0.1)]
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=3))
