"""YolactEdge for videos on ResNet-50: the image model, and what propagates its features.

Liu et al., "YolactEdge", ICRA 2021, section 3.2; numbers of the released code.
"""

_base_ = './yolact-edge_r50.py'

model = dict(
    type='mmext.VideoYolactEdge',
    data_preprocessor=dict(type='mmext.VideoPairDataPreprocessor'),
    propagation=dict(type='mmext.FeaturePropagation', channels=256, encoded_channels=64),
    key_interval=5,
    tracker=dict(type='mmext.MaskTracker'),
)
