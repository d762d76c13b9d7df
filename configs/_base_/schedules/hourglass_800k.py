"""Stacked hourglass: 800,000 steps of RMSprop.

Newell et al., "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016; numbers that the
paper does not print are those of the released code.
"""

_base_ = 'mmdet::_base_/default_runtime.py'

# 100 epochs of 8000 iterations, RMSprop with alpha .99 at 2.5e-4: released code; one drop by 5 when
# the validation stands still: section 3.1
train_cfg = dict(type='IterBasedTrainLoop', max_iters=800000, val_interval=8000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='RMSprop', lr=2.5e-4, alpha=0.99))
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[600000], gamma=0.2)]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=8000, max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook'),
    sync_buffers=dict(type='mmext.SyncBuffersHook'),  # its BatchNorm learns
)
log_processor = dict(by_epoch=False)
