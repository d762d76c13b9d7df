"""RetinaFace, ResNet-50, WIDER FACE: the headline configuration.

Deng et al., "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020, in
the form and with the recipe of biubug6/Pytorch_Retinaface, whose checkpoints
`tools/convert_checkpoint.py retinaface` takes. It reports AP easy/medium/hard on WIDER FACE val
95.48 / 94.04 / 84.43 at the original size and 94.82 / 93.84 / 89.60 with
`retinaface/retinaface_r50_wider_1600.py`.
"""

_base_ = [
    './_base_/models/retinaface_r50.py',
    './_base_/datasets/wider_face.py',
    './_base_/schedules/faces_100e.py',
]

# inputs of 840 px
train_pipeline = _base_.train_pipeline
train_pipeline[-2].scale = (840, 840)
train_dataloader = dict(batch_size=6, dataset=dict(pipeline=train_pipeline))  # on 4 GPUs: 24
auto_scale_lr = dict(enable=False, base_batch_size=24)
