"""Keypoint triplets: 480k iterations of 48 images, divided by 10 after 450k (released code)."""

_base_ = 'mmdet::_base_/default_runtime.py'

train_cfg = dict(type='IterBasedTrainLoop', max_iters=480_000, val_interval=20_000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2.5e-4), clip_grad=None)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[450_000], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=48)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=20_000, max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook'),
)
log_processor = dict(by_epoch=False)
