"""SGD over 100 epochs, divided by 10 after 70 and 90: the schedule of biubug6/Pytorch_Retinaface.

It is that of the ResNet-50; the warm-up is switched off there.
"""

_base_ = 'mmdet::_base_/default_runtime.py'

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[70, 90], gamma=0.1)]
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=3))
