"""UPSNet's schedule on COCO: 90k iterations of 16 images, divided by 10 after 60k and 80k.

Of the configurations released with Xiong et al., UPSNet, CVPR 2019.
"""

_base_ = ['mmdet::_base_/schedules/schedule_1x.py', 'mmdet::_base_/default_runtime.py']

optim_wrapper = dict(
    # biases learn twice as fast and do not decay; mmengine leaves those of the layers out that
    # predict the offsets of deformable convolutions
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={'conv_offset.bias': dict(lr_mult=2.0, decay_mult=0.0)},
    ),
)
train_cfg = dict(
    _delete_=True,
    type='IterBasedTrainLoop',
    max_iters=90_000,
    val_interval=10_000,
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=1500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[60_000, 80_000], gamma=0.1),
]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=10_000, max_keep_ckpts=3),
    # says what the data sets hold, stops a run whose model and data disagree on the classes
    data_check=dict(type='mmext.DataCheckHook'),
)
log_processor = dict(by_epoch=False)
