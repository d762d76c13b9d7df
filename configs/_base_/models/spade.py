"""SPADE: Park et al., CVPR 2019; its perceptual loss (VGG-19, weight 10) needs weights of yours.

`perceptual=...` of the translator takes any network of mmdet's.
"""

labels = 133  # classes of the maps; unknown and edges make two channels more
model = dict(
    type='mmext.PairedTranslator',
    data_preprocessor=dict(type='mmext.TranslationPreprocessor', num_labels=labels),
    generator=dict(type='mmext.SPADEGenerator', in_channels=labels + 2, norm='batch'),
    discriminator=dict(type='mmext.MultiscaleDiscriminator', in_channels=labels + 5),
    gan_loss='hinge',
    pixel_weight=0.0,
    feature_weight=10.0,
)
