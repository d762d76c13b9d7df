"""Boxes, masks, key points and surface of the generated figures, learned together on two CPU cores.

`python -m mmext.demo figures --train 2400 --out data/demo_figures` writes the data set.
"""

_base_ = [
    './_base_/models/densepose_demo.py',
    './_base_/datasets/demo_surface.py',
    './_base_/schedules/demo.py',
]

max_iters = 4800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_iters)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
# fewer regions make shorter steps; masks of 14 parts tell left from right in every cell
model = dict(
    roi_head=dict(
        tasks=dict(
            densepose=dict(
                num_coarse=15,
                summed_body=True,
                loss_weights=dict(mask=2.0, part=2.0, uv=0.03),
            ),
        )
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=32))),
)
