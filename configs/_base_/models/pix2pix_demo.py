"""pix2pix made small: a U-Net of five levels and patches of 34 px, for maps of ten classes."""

channels = 12  # of the condition: ten classes, unknown, edges
model = dict(
    type='mmext.PairedTranslator',
    data_preprocessor=dict(type='mmext.TranslationPreprocessor', num_labels=10),
    generator=dict(type='mmext.UNetGenerator', in_channels=channels, num_downs=5, width=24),
    discriminator=dict(
        type='mmext.PatchDiscriminator', in_channels=channels + 3, num_layers=2, width=24
    ),
    gan_loss='vanilla',
    pixel_loss='l1',
    pixel_weight=100.0,
)
