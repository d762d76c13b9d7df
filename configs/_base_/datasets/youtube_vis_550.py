"""YouTube-VIS 2019 as single frames at 550 x 550 px: pairs to learn from, whole videos to predict.

Yang et al., "Video Instance Segmentation", ICCV 2019. The set's own validation split has no public
annotations: YolactEdge was trained and judged on two parts of the training split, by videos.
`annotations/train.json` and `annotations/val.json` are two such parts, the frames of both are in
`train_all_frames/JPEGImages`, the ones that are not annotated among them.
"""

_base_ = './coco_instances_550.py'

data_root = 'data/youtube_vis_2019/'
frame_steps = [
    dict(type='mmext.LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    # nothing that depends on what is in a frame: both frames go through the same
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=32,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5),
        hue_delta=18,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=(550, 550), keep_ratio=False),
]
train_pipeline = [
    dict(type='mmext.BothFrames', transforms=frame_steps),
    dict(type='mmext.PackVideoInstances'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[-1] = dict(
    type='mmext.PackVideoInstances',
    meta_keys=(
        *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'),
        *('video_id', 'frame_id', 'video_length', 'is_annotated', 'key_frame'),
    ),
)
train_dataloader = dict(
    dataset=dict(
        type='mmext.VideoInstanceDataset',
        data_root=data_root,
        ann_file='annotations/train.json',
        data_prefix=dict(img='train_all_frames/JPEGImages/'),
        all_frames=True,
        reference_range=(2, 5),  # frames before the annotated one
        filter_cfg=dict(_delete_=True, filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    sampler=dict(_delete_=True, type='mmext.VideoSampler'),  # videos are streams
    dataset=dict(
        type='mmext.VideoInstanceDataset',
        data_root=data_root,
        ann_file='annotations/val.json',
        data_prefix=dict(img='train_all_frames/JPEGImages/'),
        all_frames=True,
        key_passes=5,  # every annotated frame is judged as key frame and as the 1st .. 4th after it
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='mmext.MaskAPByKeyAgeMetric', metric=['bbox', 'segm'])
test_evaluator = val_evaluator
