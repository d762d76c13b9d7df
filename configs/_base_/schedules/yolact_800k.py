"""YOLACT's schedule on COCO: 800k iterations of 8 images, divided by 10 four times.

Bolya et al., "YOLACT", ICCV 2019, section 5; the warm-up is that of the released code.
"""

_base_ = 'mmdet::_base_/default_runtime.py'

train_cfg = dict(type='IterBasedTrainLoop', max_iters=800_000, val_interval=20_000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        milestones=[280_000, 600_000, 700_000, 750_000],
        gamma=0.1,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=8)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=20_000, max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook'),
)
log_processor = dict(by_epoch=False)
