"""CycleGAN made small: three blocks of 64 channels, patches of 34 px."""

model = dict(
    type='mmext.CycleTranslator',
    generator=dict(type='mmext.ResidualGenerator', width=16, num_blocks=3),
    discriminator=dict(type='mmext.PatchDiscriminator', num_layers=2, width=24),
)
