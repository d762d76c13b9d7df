"""The image model of the walks with what propagates its features."""

_base_ = './yolact-edge_walks_demo.py'

model = dict(
    type='mmext.VideoYolactEdge',
    data_preprocessor=dict(type='mmext.VideoPairDataPreprocessor'),
    propagation=dict(
        type='mmext.FeaturePropagation', channels={{_base_.channels}}, encoded_channels=32
    ),
    key_interval=5,
    tracker=dict(type='mmext.MaskTracker'),
)
