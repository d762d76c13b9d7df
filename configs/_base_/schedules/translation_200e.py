"""200 epochs of Adam at 2e-4, the second half of them down to nothing, one picture a step.

Isola et al., CVPR 2017, and Zhu et al., ICCV 2017.
"""

_base_ = 'mmdet::_base_/default_runtime.py'

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=20)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
adam = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
optim_wrapper = dict(
    constructor='mmext.NetworkOptimWrapperConstructor',
    generators=dict(networks=('generator',), type='OptimWrapper', optimizer=adam),
    discriminators=dict(networks=('discriminator',), type='OptimWrapper', optimizer=adam),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=0.0, begin=100, end=200, by_epoch=True)
]
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
auto_scale_lr = dict(enable=False, base_batch_size=1)
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook', model=False),  # what MLflow serves are detectors
)
