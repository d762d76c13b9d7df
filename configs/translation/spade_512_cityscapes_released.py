"""SPADE's release for Cityscapes (34 classes and ignored ones), 512 x 256: for its weights."""

_base_ = './spade_256_coco-stuff_released.py'

labels = 34
model = dict(
    data_preprocessor=dict(num_labels=labels),
    generator=dict(in_channels=labels + 2, num_ups=6),
    discriminator=dict(in_channels=labels + 5),
)
