"""Photos of COCO's scenes from their panoptic maps: SPADE at 256 px, for a GPU. Not trained here.

100 epochs down to nothing over the second half, two rates: Adam at 1e-4 and 4e-4.
"""

_base_ = [
    '../_base_/models/spade.py',
    '../_base_/datasets/coco_condition.py',
    '../_base_/schedules/translation_200e.py',
]

adam = dict(betas=(0.0, 0.9))
optim_wrapper = dict(
    generators=dict(optimizer=dict(adam, lr=1e-4)),
    discriminators=dict(optimizer=dict(adam, lr=4e-4)),
)
train_cfg = dict(max_epochs=100)
param_scheduler = [dict(_base_.param_scheduler[0], begin=50, end=100)]
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True))
auto_scale_lr = dict(base_batch_size=32)
