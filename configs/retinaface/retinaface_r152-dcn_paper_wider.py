"""RetinaFace as published: ResNet-152, five levels, deformable context, WIDER FACE.

Deng et al., arXiv 1905.00641 v2. It reports AP easy/medium/hard on WIDER FACE val 96.9 / 96.1 /
91.8 with the views of `retinaface_r50_wider_multiscale.py`. Not as there: the start (ImageNet-1k
weights of torchvision instead of ImageNet-11k ones) and the graph decoder of the mesh, which was
never released.
"""

_base_ = [
    '../_base_/models/retinaface_r152-dcn.py',
    '../_base_/datasets/wider_face.py',
    '../_base_/schedules/faces_100e.py',
]

# inputs of 640 px, from squares of 0.3 to 1 of the short edge; a face stays with its centre
train_pipeline = _base_.train_pipeline
train_pipeline[3] = dict(type='mmext.RandomSquareCrop', scales=(0.3, 1.0), require='center')
train_pipeline[-1].outside = 'keep'
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))  # on 4 GPUs
auto_scale_lr = dict(enable=False, base_batch_size=32)

# from 1e-3 to 1e-2 within 5 epochs, divided by 10 after 55 and 68, end at 80
train_cfg = dict(max_epochs=80)
optim_wrapper = dict(optimizer=dict(lr=1e-2))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=5, convert_to_iter_based=True
    ),
    dict(type='MultiStepLR', by_epoch=True, milestones=[55, 68], gamma=0.1),
]
