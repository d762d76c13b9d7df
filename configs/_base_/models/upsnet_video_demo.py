"""UPSNet's demo as a VPSNet without its parts for videos; `vpsnet_demo.py` adds them."""

_base_ = './upsnet_demo.py'

model = dict(
    type='mmext.VPSNet',
    data_preprocessor=dict(type='mmext.VideoPairDataPreprocessor'),
    optical_flow=dict(type='mmext.DISFlow'),
    # no unknown channel, so no instance hidden from it
    panoptic_fusion_head=dict(with_unknown=False, keep_fraction=1.0),
)
