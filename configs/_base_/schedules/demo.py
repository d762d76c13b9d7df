"""The schedule of the demos: 1000 steps of AdamW with a warm-up, and what they log and keep.

A demo of another length replaces `train_cfg`, the end of the cosine and the interval of the
checkpoints.
"""

_base_ = 'mmdet::_base_/default_runtime.py'

max_iters = 1000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=max_iters),
    mlflow=dict(type='mmext.MLflowHook'),
    sync_buffers=dict(type='mmext.SyncBuffersHook'),  # the BatchNorm of the demos learns
)
log_processor = dict(by_epoch=False, window_size=20)
randomness = dict(seed=0)
