"""Boxes, masks, key points and surface of the generated figures, learned together on two CPU cores.

`python -m mmext.demo figures --train 6000 --out data/demo_figures` writes the data set.
"""

_base_ = [
    './_base_/models/densepose_demo.py',
    './_base_/datasets/demo_surface.py',
    './_base_/schedules/demo.py',
]

max_iters = 7000
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
# one region of every person a step: more of the same person say little more than another person
model = dict(
    roi_head=dict(
        regions_per_object=1,
        tasks=dict(
            densepose=dict(
                num_coarse=15,  # masks of 14 parts tell left from right in every cell
                nested=True,
                loss_weights=dict(part=2.0, uv=0.03),
            ),
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=250, max_per_img=100),
        rcnn=dict(sampler=dict(num=32)),
    ),
)
