"""Crops of the generated set's objects with their masks, made by class, in minutes of one core.

`mmext crops` writes them to a file, for `mmext.PasteCrops` in the pipeline of a detector.
"""

_base_ = ['../_base_/datasets/demo_crops.py', '../_base_/schedules/demo.py']

model = dict(
    type='mmext.CropGAN',
    generator=dict(type='mmext.CropGenerator', num_classes=5, widths=(96, 64, 48, 32)),
    discriminator=dict(type='mmext.ProjectionDiscriminator', num_classes=5, size=32, width=24),
)
max_iters = 800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
val_cfg = test_cfg = None
adam = dict(type='Adam', lr=8e-4, betas=(0.0, 0.99))
optim_wrapper = dict(
    _delete_=True,
    constructor='mmext.NetworkOptimWrapperConstructor',
    generators=dict(type='OptimWrapper', networks=('generator',), optimizer=adam),
    discriminators=dict(type='OptimWrapper', networks=('discriminator',), optimizer=adam),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=0.1, by_epoch=False, end=max_iters)
]
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
default_hooks = dict(checkpoint=dict(interval=max_iters), mlflow=dict(images=0, model=False))
