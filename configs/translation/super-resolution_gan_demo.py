"""As `super-resolution_perceptual_demo.py`, with a discriminator of patches: SRGAN in small.

The discriminator begins at nothing, and has to tell within these few steps: at a third of its rate
and with Adam's usual momentum it is at chance until they are over.
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
