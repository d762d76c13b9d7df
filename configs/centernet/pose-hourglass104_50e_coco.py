"""Human pose as points on Hourglass-104.

Zhou et al., "Objects as Points", 2019, section 5.3. Published COCO val key point AP of the
released weights, flipped (repository's table): 58.7 after 50 epochs, 64.0 after 150. Not trained
again here. The released runs started from the detector of the same backbone.
"""

_base_ = [
    '../_base_/models/centernet_hourglass104.py',
    '../_base_/datasets/coco_pose.py',
    '../_base_/schedules/points_50e.py',
]

model = dict(
    bbox_head=dict(
        type='mmext.CenterNetPoseHead',
        num_classes=1,
        num_joints=17,
        flip_pairs={{_base_.flip_pairs}},
    )
)

train_dataloader = dict(batch_size=3)  # 24 in all (repository's scripts)
# five halvings more than the stem's two: sizes are multiples of 128
test_pipeline, tta_pipeline = _base_.test_pipeline, _base_.tta_pipeline
test_pipeline[1].divisor = 128
tta_pipeline[1].transforms[0] = [dict(warp, divisor=128) for warp in tta_pipeline[1].transforms[0]]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
