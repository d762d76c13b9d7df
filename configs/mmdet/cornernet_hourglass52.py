"""mmdet's CornerNet on one stack; the host's own hourglass cannot be trained so in parallel.

It builds a residual between stacks that a single stack has no use for, and whose parameters
never get a gradient.
"""

_base_ = './cornernet_hourglass104.py'

model = dict(backbone=dict(num_stacks=1), bbox_head=dict(num_feat_levels=1))
