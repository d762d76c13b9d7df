"""Landmarks on crops of 64 px, but for the head.

The backbone is a ResNet-18 of three eighths of the width without its last stage.
"""

model = dict(
    type='mmext.CropLandmarkEstimator',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=True),
    input_size=(64, 64),
    margin=1.4,
    flip_pairs=((0, 1), (3, 4)),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=24,
        stem_channels=24,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),  # 96 channels, a sixteenth of the sides
        norm_cfg=dict(type='BN'),
        norm_eval=False,
    ),
    test_cfg=dict(flip=True, boxes='auto', max_crops=128),
)
