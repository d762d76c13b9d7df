"""Newell's stacked hourglass with two stacks: the faster model of princeton-vl's port (PCKh .883).

`tools/convert_checkpoint.py hourglass-princeton` converts its weights; there sigma is 1 cell.
"""

_base_ = '../landmarks.py'

model = dict(
    backbone=dict(num_stacks=2), head=dict(codec=dict(stamp='princeton', rule='princeton'))
)
