"""detectron2's schedule s1x of DensePose: 130k steps of 16 images, and what they log and keep."""

_base_ = 'mmdet::_base_/default_runtime.py'

train_cfg = dict(type='IterBasedTrainLoop', max_iters=130_000, val_interval=10_000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=False, milestones=[100_000, 120_000], gamma=0.1),
]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=10_000, max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook'),
)
log_processor = dict(by_epoch=False)
