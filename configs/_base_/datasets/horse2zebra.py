"""Two domains without pairs, in the folders of CycleGAN's data sets.

Expects `data/horse2zebra/{trainA,trainB,testA}/`. Any such set: `--cfg-options data_root=...`.
Nothing is measured on it but what the panels show.
"""

_base_ = './facades.py'

data_root = 'data/horse2zebra/'
load = dict(type='mmext.LoadImageFromFile')
train_pipeline = [load, *_base_.train_pipeline[1:-1], dict(type='PackDetInputs')]
pictures = dict(type='mmext.PictureFolder', data_root=data_root, pipeline=train_pipeline)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmext.UnpairedDataset',
        a=dict(pictures, data_prefix=dict(img='trainA/')),
        b=dict(pictures, data_prefix=dict(img='trainB/')),
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(img='testA/'),
        pipeline=[load, dict(type='PackDetInputs')],
    )
)
test_dataloader = val_dataloader
