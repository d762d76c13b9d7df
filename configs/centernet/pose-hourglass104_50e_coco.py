"""Human pose as points on Hourglass-104.

Zhou et al., "Objects as Points", 2019, section 5.3. Published COCO val key point AP of the
released weights, flipped (repository's table): 58.7 after 50 epochs, 64.0 after 150. Not trained
again here. The released runs started from the detector of the same backbone.
"""

_base_ = '../_base_/centernet_pose_coco.py'

model = dict(
    type='mmext.CenterNetPointDetector',
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(type='mmext.HourglassNet', num_stacks=2),
    bbox_head=dict(
        type='mmext.CenterNetPoseHead',
        num_classes=1,
        num_joints=17,
        flip_pairs={{_base_.flip_pairs}},
        in_channels=256,
        feat_channels=256,
        num_stacks=2,
    ),
    test_cfg=dict(topk=100, local_maximum_kernel=3, max_per_img=100, flip=True),
)

# five halvings more than the stem's two: sizes are multiples of 128
test_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='mmext.CenterWarp', resolution='keep', divisor=128),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadKeypoints'),
    dict(type='mmext.PackKeypointInputs', outside='keep', meta_keys={{_base_.test_meta_keys}}),
]
# 24 images in all at lr 2.5e-4, 50 epochs with a drop at 40 (repository's scripts)
train_dataloader = dict(batch_size=3)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2.5e-4))
train_cfg = dict(max_epochs=50)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=50, milestones=[40], gamma=0.1)
]
auto_scale_lr = dict(base_batch_size=24)
tta_pipeline = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='mmext.CenterWarp', resolution='keep', divisor=128, scale=scale)
                for scale in (0.5, 0.75, 1.0, 1.25, 1.5)
            ],
            [dict(type='LoadAnnotations', with_bbox=True)],
            [dict(type='mmext.LoadKeypoints')],
            [
                dict(
                    type='mmext.PackKeypointInputs',
                    outside='keep',
                    meta_keys={{_base_.test_meta_keys}},
                )
            ],
        ],
    ),
]
