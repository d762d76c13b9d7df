"""As `super-resolution_perceptual_demo.py`, with a discriminator of patches: SRGAN in small."""

_base_ = './super-resolution_perceptual_demo.py'

model = dict(
    discriminator=dict(type='mmext.PatchDiscriminator', width=32, num_layers=2),
    gan_loss='vanilla',
    gan_weight=0.01,
)
optim_wrapper = dict(
    discriminators=dict(
        type='OptimWrapper', networks=('discriminator',), optimizer=dict(type='Adam', lr=3e-4)
    ),
)
