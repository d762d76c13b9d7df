"""CycleGAN on pictures of 256 px: nine residual blocks, patches of 70 px; Zhu et al., ICCV 2017.

Not trained here. Upwards it repeats places and convolves, which leaves no checkerboard; weights of
the release belong to `cyclegan_256_released.py`.
"""

_base_ = ['../_base_/datasets/horse2zebra.py', '../_base_/schedules/translation_200e.py']

model = dict(
    type='mmext.CycleTranslator',
    generator=dict(type='mmext.ResidualGenerator', width=64, num_blocks=9),
    discriminator=dict(type='mmext.PatchDiscriminator', width=64, num_layers=3),
)
optim_wrapper = dict(
    generators=dict(networks=('generator_ab', 'generator_ba')),
    discriminators=dict(networks=('discriminator_a', 'discriminator_b')),
)
