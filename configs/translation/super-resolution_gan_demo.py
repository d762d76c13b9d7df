"""As `super-resolution_perceptual_demo.py`, with a discriminator of patches: SRGAN in small.

The discriminator begins at nothing, and has to tell within these few steps: at a third of its rate
and with Adam's usual momentum it is at chance until they are over. It wakes after 200 of 600.
"""

_base_ = './super-resolution_perceptual_demo.py'

model = dict(
    discriminator=dict(type='mmext.PatchDiscriminator', width=32, num_layers=2),
    gan_loss='vanilla',
    gan_weight=0.01,
)
optim_wrapper = dict(
    discriminators=dict(
        type='OptimWrapper',
        networks=('discriminator',),
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)),
    ),
)
max_iters = 600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [dict(_base_.param_scheduler[0], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
