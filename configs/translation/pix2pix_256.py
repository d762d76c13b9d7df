"""pix2pix on pictures of 256 px: U-Net of eight levels, BatchNorm; Isola et al., CVPR 2017.

Not trained here. As the paper it tests by the statistics of each picture, and without dropout, so
that a picture is always translated alike.
"""

_base_ = ['../_base_/datasets/facades.py', '../_base_/schedules/translation_200e.py']

model = dict(
    type='mmext.PairedTranslator',
    generator=dict(type='mmext.UNetGenerator', num_downs=8, width=64, norm='batch'),
    discriminator=dict(
        type='mmext.PatchDiscriminator', in_channels=6, width=64, num_layers=3, norm='batch'
    ),
)
