"""The feed-forward stylist: pictures of the generated set in the style of one of them.

The image-transform network of Johnson et al., ECCV 2016, of a quarter of its width. Content and
style are what the backbone of `upsnet_demo.py` sees, which has to be trained before. They are
weighed so that a picture lacks about as much of the style as of another picture's content. Another
style: `--cfg-options model.perceptual.style_picture=FILE`.
"""

_base_ = './super-resolution_demo.py'

johnson = dict(width=8, num_blocks=3, kernel=9, norm_affine=True, out='linear')
model = dict(
    generator=dict(_delete_=True, type='mmext.ResidualGenerator', **johnson),
    pixel_weight=0.0,
    perceptual=dict(
        type='mmext.PerceptualLoss',
        network=dict(
            detector='mmext::upsnet_demo.py', checkpoint='work_dirs/upsnet_demo/iter_800.pth'
        ),
        content={1: 1.0},
        style={0: 1e4, 1: 1e5, 2: 1e5},
        style_picture='data/demo_panoptic/train2017/000000000007.jpg',  # a desert
        distance='l2',
        variation=0.01,
    ),
)

pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='mmext.PackTranslation', source='img'),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(
    dataset=dict(pipeline=[pipeline[0], dict(type='mmext.PackTranslation', source='img')])
)
test_dataloader = val_dataloader
