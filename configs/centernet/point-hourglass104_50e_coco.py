"""Objects as points on Hourglass-104, the most accurate network of the paper.

Zhou et al., "Objects as Points", 2019, table 2 (section 5.1). Published COCO val AP of the
released weights (repository's table): 40.3 plain, 42.2 flipped, 45.1 at several scales. Not
trained again here. The released run started from a trained ExtremeNet, which shares the backbone.
"""

_base_ = [
    '../_base_/models/centernet_hourglass104.py',
    '../_base_/datasets/coco_points.py',
    '../_base_/schedules/points_50e.py',
]

train_dataloader = dict(batch_size=3)  # 24 in all (repository's scripts)
# five halvings more than the stem's two: sizes are multiples of 128
test_pipeline, tta_pipeline = _base_.test_pipeline, _base_.tta_pipeline
test_pipeline[1].divisor = 128
tta_pipeline[1].transforms[0] = [dict(warp, divisor=128) for warp in tta_pipeline[1].transforms[0]]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
