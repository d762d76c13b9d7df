"""Clips of walking figures of `mmext.demo`: pairs to learn from, whole clips to predict.

`python -m mmext.demo figures --out data/demo_walks --size 128 --train 8 --val 8
--train-clips 400 --val-clips 24` writes the data set. The clips for validation are for choosing
numbers; figures are those of a third set, see the README of the room.
"""

_base_ = './youtube_vis_550.py'

data_root = 'data/demo_walks/'
metainfo = dict(classes=('person',), palette=[(220, 20, 60)])
frame_steps = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='mmext.BothFrames', transforms=frame_steps),
    dict(type='mmext.PackVideoInstances'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1] = dict(type='Resize', scale=(128, 128), keep_ratio=True)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/youtube_vis_train.json',
        data_prefix=dict(img='train_clips/'),
        all_frames=False,  # all are annotated
        reference_range=(1, 4),  # clips of 8 frames
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/youtube_vis_val.json',
        data_prefix=dict(img='val_clips/'),
        all_frames=False,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=8)
