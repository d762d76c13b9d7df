"""The same with DeepLab's head: detectron2's R_50_FPN_DL_s1x.

Published by detectron2 (not trained again here): box AP 61.1, mask AP 68.3, GPS AP 65.6
and GPSm AP 66.7.
"""

_base_ = '../densepose.py'

model = dict(
    roi_head=dict(
        tasks=dict(densepose=dict(trunk=dict(_delete_=True, type='mmext.SurfaceDeepLabTrunk')))
    )
)
