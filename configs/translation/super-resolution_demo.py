"""Four times larger pictures, learned from the generated set in a minute of one CPU core.

By mean absolute differences: the picture becomes the middle of the possible ones, sharp where they
agree. `super-resolution_{mse,perceptual,gan}_demo.py` learn by other losses;
`tools/benchmark.py super-resolution` compares all.
"""

_base_ = [
    '../_base_/datasets/demo_low_resolution.py',
    '../_base_/schedules/demo.py',
]

model = dict(
    type='mmext.PairedTranslator',
    generator=dict(type='mmext.ResidualUpscaler', channels=32, num_blocks=4),
    conditional=False,
    pixel_loss='l1',
    pixel_weight=1.0,
)

max_iters = 1200
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    _delete_=True,
    constructor='mmext.NetworkOptimWrapperConstructor',
    generators=dict(
        type='OptimWrapper', networks=('generator',), optimizer=dict(type='Adam', lr=1e-3)
    ),
)
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, end=max_iters, eta_min=1e-5)]
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
default_hooks = dict(
    checkpoint=dict(interval=max_iters),
    mlflow=dict(images=0, model=False),  # its panels are of detectors
)
