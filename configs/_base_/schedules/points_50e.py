"""Objects as points, Hourglass-104: 50 epochs with a drop at 40 (scripts of the repository)."""

_base_ = './points_140e.py'

# 24 images in all at lr 2.5e-4 (there)
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(optimizer=dict(lr=2.5e-4))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=50, milestones=[40], gamma=0.1)
]
auto_scale_lr = dict(base_batch_size=24)
