"""FlyingChairs at 550 x 550 px: pairs of pictures with their motion, to learn flow from.

Dosovitskiy et al., "FlowNet", ICCV 2015. Validation is that of the videos.
"""

_base_ = './youtube_vis_550.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmext.FlyingChairsDataset',
        data_root={{_base_.data_root}},
        data_prefix=dict(img='../FlyingChairs_release/data/'),  # beside the videos
        pipeline=[
            dict(
                type='mmext.BothFrames',
                transforms=[
                    dict(type='mmext.LoadImageFromFile'),
                    dict(type='RandomFlip', prob=0.5),
                    dict(type='Resize', scale=(550, 550), keep_ratio=False),
                ],
            ),
            dict(type='mmext.PackFlowPair'),
        ],
    ),
)
