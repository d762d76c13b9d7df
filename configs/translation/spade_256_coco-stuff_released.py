"""SPADE's release for COCO-Stuff (182 classes by their ids): for its weights, non-commercial.

`tools/convert_checkpoint.py spade latest_net_G.pth --config THIS --out spade.pth`. Maps of the
panoptic set have 133 other labels: to train, take `spade_256_coco.py`.
"""

_base_ = './spade_256_coco.py'

labels = 182
model = dict(
    data_preprocessor=dict(num_labels=labels),
    generator=dict(in_channels=labels + 2),
    discriminator=dict(in_channels=labels + 5),
)
