"""Mask R-CNN with key points beside boxes and masks, made small, from random initialization."""

_base_ = './mask-rcnn_demo.py'

channels = 64
model = dict(
    roi_head=dict(
        tasks=dict(
            keypoints=dict(
                type='mmext.KeypointRCNNTask',
                num_points=17,
                in_channels=channels,
                num_convs=4,
                conv_channels=channels,
                roi_extractor=dict(
                    type='mmext.SingleRoIExtractor',
                    roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
                    out_channels=channels,
                    featmap_strides=[4, 8, 16, 32],
                ),
            )
        ),
    ),
)
