"""Pairs side by side in one picture, the photo left, as pix2pix's data sets have them.

Expects `data/facades/{train,val}/`. Any such set: `--cfg-options data_root=data/maps/`. Nothing is
measured on it but what the panels show.
"""

data_root = 'data/facades/'
load = dict(type='mmext.LoadPair', target_first=True)
train_pipeline = [
    load,
    dict(type='Resize', scale=(286, 286), keep_ratio=False, interpolation='bicubic'),
    dict(type='RandomCrop', crop_size=(256, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmext.PackTranslation', source='pair'),
]
test_pipeline = [load, dict(type='mmext.PackTranslation', source='pair')]
pictures = dict(type='mmext.PictureFolder', data_root=data_root)
train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pictures, data_prefix=dict(img='train/'), pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pictures, data_prefix=dict(img='val/'), pipeline=test_pipeline, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = []
test_evaluator = []
