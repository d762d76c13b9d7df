"""hg_s8_b1 of pytorch-pose: its stem is wider than the paper's; PCKh .888 (plain mean of joints).

`tools/convert_checkpoint.py hourglass-pytorch-pose` converts its weights.
"""

_base_ = '../landmarks.py'

model = dict(
    mean=(112.3, 113.2, 110.3),  # of MPII, RGB: released code, .4404, .4440 and .4327 times 255
    backbone=dict(stem_channels=(64, 128, 256)),
    head=dict(codec=dict(stamp='pytorch-pose')),
)
