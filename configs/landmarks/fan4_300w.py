"""FAN: 68 points of faces by four stacks.

Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV
2017. `tools/convert_checkpoint.py fan` converts the weights of face-alignment. The annotations are
300W's as COCO key points; the schedule is that of `landmarks.py` with the batch of the paper.
"""

_base_ = [
    '../_base_/datasets/mpii_landmarks.py',
    '../_base_/schedules/hourglass_800k.py',
]

data_root = 'data/300w/'
flip_pairs = (
    *((number, 16 - number) for number in range(8)),
    *((17, 26), (18, 25), (19, 24), (20, 23), (21, 22), (31, 35), (32, 34), (36, 45), (37, 44)),
    *((38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52), (55, 59), (56, 58)),
    *((60, 64), (61, 63), (65, 67)),
)
metainfo = dict(
    _delete_=True,
    classes=('face',),
    palette=[(220, 20, 60)],
    keypoints=tuple(str(number) for number in range(68)),
    flip_pairs=flip_pairs,
    skeleton=tuple((number, number + 1) for number in range(16)),
)

model = dict(
    type='mmext.CropLandmarkEstimator',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=True),
    input_size={{_base_.input_size}},
    margin={{_base_.margin}},
    flip_pairs=flip_pairs,
    mean=(0, 0, 0),
    std=(255, 255, 255),
    backbone=dict(type='mmext.StackedHourglass', num_points=68, num_stacks=4, block='concat'),
    head=dict(
        type='mmext.HeatmapHead',
        num_points=68,
        in_channels=None,
        codec=dict(stamp='fan', decoder='quarter'),
    ),
    test_cfg=dict(flip=True),
)

train_dataloader = dict(
    batch_size=10,
    dataset=dict(ann_file='annotations/300w_train.json', data_root=data_root, metainfo=metainfo),
)
val_dataloader = dict(
    dataset=dict(ann_file='annotations/300w_val.json', data_root=data_root, metainfo=metainfo)
)
test_dataloader = val_dataloader
# outer corners of the eyes
val_evaluator = dict(_delete_=True, type='mmext.LandmarkNMEMetric', normalizer='inter_ocular')
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=10)
