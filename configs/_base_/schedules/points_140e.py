"""Objects as points, DLA-34 and ResNets: 140 epochs of Adam; Zhou et al., 2019, section 5."""

_base_ = 'mmdet::_base_/default_runtime.py'

# Adam, 5e-4 for batch 128, 140 epochs with drops at 90 and 120: section 5
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=140, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-4))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=140, milestones=[90, 120], gamma=0.1)
]
auto_scale_lr = dict(enable=False, base_batch_size=128)
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),  # with Adam's state 240 MB each on DLA-34
    mlflow=dict(type='mmext.MLflowHook'),
)
