"""RetinaFace on ResNet-50 by the rules of the authors' MXNet release, WIDER FACE.

It reports AP easy/medium/hard on WIDER FACE val 96.5 / 95.6 / 90.4 at several sizes with mirror
images and box voting (the `test_cfg` of `retinaface_r50_wider_multiscale.py`). Priors, matching,
mining and losses are those of the preset. From the paper, as the release's own are not known
here: epochs, crops, decay. Not kept: its backbone's weights and input (RGB, neither mean nor
deviation); torchvision's weights come with torchvision's normalisation.
"""

_base_ = '../retinaface.py'

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    bbox_head=dict(preset='insightface'),
)

# a face stays with its center; inputs of 640 px
train_pipeline = _base_.train_pipeline
train_pipeline[3].require = 'center'
train_pipeline[-2].scale = (640, 640)
train_pipeline[-1].outside = 'keep'
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))  # on 4 GPUs
auto_scale_lr = dict(base_batch_size=32)

# times 1.5849 an epoch for 5 epochs: from 1e-3 to 1e-2
train_cfg = dict(max_epochs=80)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='ExponentialLR', gamma=1.5849, by_epoch=True, begin=0, end=6),  # 5 steps
    dict(type='MultiStepLR', by_epoch=True, milestones=[55, 68], gamma=0.1),
]
