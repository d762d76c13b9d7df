"""hg_s2_b1 of pytorch-pose: PCKh .870 (plain mean of joints)."""

_base_ = './hourglass8_pytorch-pose_mpii.py'

model = dict(backbone=dict(num_stacks=2))
