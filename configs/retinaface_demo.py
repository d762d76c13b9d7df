"""RetinaFace with landmarks, mesh and attributes on generated faces: minutes on two CPU cores.

`python -m mmext.demo faces --out data/demo_faces` writes the data set. Landmarks and mesh are what
a second look at each face says (`close_up`); without it they come from the head, as the attributes
do.
"""

_base_ = [
    './_base_/models/retinaface_demo.py',
    './_base_/datasets/demo_faces.py',
    './_base_/schedules/demo.py',
]

max_iters = 3000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=3e-3), clip_grad=dict(max_norm=20.0))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
