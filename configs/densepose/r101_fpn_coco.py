"""The same on ResNet-101: detectron2's R_101_FPN_s1x.

Published by detectron2 (not trained again here): box AP 62.3, mask AP 67.8, GPS AP 64.5
and GPSm AP 66.2.
"""

_base_ = '../densepose.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe'),
    )
)
