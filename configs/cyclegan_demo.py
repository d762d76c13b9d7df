"""Day becomes night, learned without pairs and without labels: a small CycleGAN.

What a detector that learned by day still finds in its pictures says what was repainted: train
`upsnet_demo.py` first.
"""

_base_ = [
    './_base_/models/cyclegan_demo.py',
    './_base_/datasets/demo_nights.py',
    './_base_/schedules/translation_demo.py',
]

optim_wrapper = dict(
    generators=dict(networks=('generator_ab', 'generator_ba')),
    discriminators=dict(networks=('discriminator_a', 'discriminator_b')),
)
train_cfg = dict(max_iters=800, val_interval=800)
param_scheduler = [dict(_base_.param_scheduler[0], begin=400, end=800)]
default_hooks = dict(checkpoint=dict(interval=800))
