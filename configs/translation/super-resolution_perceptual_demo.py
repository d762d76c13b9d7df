"""As `super-resolution_demo.py`, from there on by what a detector's backbone sees as well.

Needs two trainings before it: `upsnet_demo.py`, whose backbone judges, and
`super-resolution_demo.py`. Weights of others: `--cfg-options
model.perceptual.network.checkpoint=FILE model.generator.init_cfg.checkpoint=FILE`.
"""

_base_ = './super-resolution_demo.py'

model = dict(
    generator=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/super-resolution_demo/iter_1200.pth',
            prefix='generator',
        )
    ),
    perceptual=dict(
        type='mmext.PerceptualLoss',
        network=dict(
            detector='mmext::upsnet_demo.py', checkpoint='work_dirs/upsnet_demo/iter_800.pth'
        ),
        content={0: 0.1, 1: 0.1},
    ),
)

max_iters = 300
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(generators=dict(optimizer=dict(lr=3e-4)))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, end=max_iters, eta_min=1e-5)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
