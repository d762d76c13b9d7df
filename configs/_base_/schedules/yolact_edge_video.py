"""YolactEdge's schedules of videos: a warm-up and a cosine; a stage replaces rate and length.

Liu et al., "YolactEdge", ICRA 2021, section 4.1, as the released code has them for one GPU.
"""

_base_ = './yolact_800k.py'

max_iters = 200_000
train_cfg = dict(max_iters=max_iters)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=500),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=500, end=max_iters, eta_min=0.0),
]
