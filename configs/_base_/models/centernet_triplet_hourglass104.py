"""CenterNet with keypoint triplets on Hourglass-104.

Duan et al., "CenterNet: Keypoint Triplets for Object Detection", ICCV 2019, with the numbers of
the released training code.
"""

model = dict(
    type='mmext.CenterNetTripletDetector',
    # BGR, as released
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[104.0136, 114.0342, 119.9166],
        std=[73.6028, 69.8908, 70.9151],
        bgr_to_rgb=False,
    ),
    # as mmdet's CornerNet
    backbone=dict(
        type='mmext.HourglassNet',
        downsample_times=5,
        num_stacks=2,
        stage_channels=[256, 256, 384, 384, 384, 512],
        stage_blocks=[2, 2, 2, 2, 2, 4],
        norm_cfg=dict(type='BN', requires_grad=True),
    ),
    neck=None,
    bbox_head=dict(
        type='mmext.CenterNetTripletHead',
        num_classes=80,
        in_channels=256,
        num_stacks=2,
        loss_weights=dict(heatmap=1.0, pull=0.1, push=0.1, offset=1.0),  # section 3.3
    ),
    train_cfg=None,
    test_cfg=dict(
        top_k=70,  # section 4.1
        max_tag_distance=0.5,
        max_pairs=1000,
        max_per_img=100,
        flip=True,  # section 4.1: original and flipped image together
    ),
)
# tools/test.py --tta: section 4.1, several scales
tta_model = dict(type='mmext.CenterNetTripletTTA')
