"""The same with confidences of coordinates and masks: detectron2's R_50_FPN_WC2M_s1x.

Published by detectron2 (not trained again here): box AP 60.7, mask AP 66.9, GPS AP 64.2
and GPSm AP 65.5.
"""

_base_ = '../densepose.py'

model = dict(
    roi_head=dict(
        tasks=dict(
            densepose=dict(confidence='wc2', mask_confidence=True, loss_weights=dict(uv=0.0005))
        )
    )
)
# its own: the densities of few points have large gradients
optim_wrapper = dict(clip_grad=dict(max_norm=100.0))
param_scheduler = [
    dict(_base_.param_scheduler[0], start_factor=0.025),
    _base_.param_scheduler[1],
]
