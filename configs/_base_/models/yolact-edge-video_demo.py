"""The demo's YolactEdge with what propagates its features: of persons alone."""

_base_ = './yolact-edge_demo.py'

model = dict(
    type='mmext.VideoYolactEdge',
    data_preprocessor=dict(type='mmext.VideoPairDataPreprocessor'),
    bbox_head=dict(num_classes=1),
    mask_head=dict(num_classes=1),
    propagation=dict(
        type='mmext.FeaturePropagation', channels={{_base_.channels}}, encoded_channels=32
    ),
    key_interval=5,
    tracker=dict(type='mmext.MaskTracker'),
)
