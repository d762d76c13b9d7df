"""Photos from panoptic maps, learned within minutes on two CPU cores: a small pix2pix.

Judged by a detector that knows real photos: what of the map does it find in them? Train
`upsnet_demo.py` first.
"""

_base_ = [
    './_base_/models/pix2pix_demo.py',
    './_base_/datasets/demo_condition.py',
    './_base_/schedules/translation_demo.py',
]

train_cfg = dict(max_iters=1500, val_interval=1500)
param_scheduler = [dict(_base_.param_scheduler[0], begin=750, end=1500)]
default_hooks = dict(checkpoint=dict(interval=1500))
