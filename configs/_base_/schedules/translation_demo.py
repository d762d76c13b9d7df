"""Two optimizers, by config: generators and discriminators, at a rate that falls from the half on.

Adam's numbers are those of pix2pix and CycleGAN. A demo of another length replaces `train_cfg`,
both ends of the schedule and the interval of the checkpoints.
"""

_base_ = './demo.py'

adam = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999), fused=True)
optim_wrapper = dict(
    _delete_=True,
    constructor='mmext.NetworkOptimWrapperConstructor',
    generators=dict(networks=('generator',), type='OptimWrapper', optimizer=adam),
    discriminators=dict(networks=('discriminator',), type='OptimWrapper', optimizer=adam),
)
half, total = 500, 1000
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=0.0, begin=half, end=total, by_epoch=False)
]
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
default_hooks = dict(mlflow=dict(model=False))  # what MLflow serves are detectors
