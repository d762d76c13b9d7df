"""WIDER FACE: data, augmentation of the PyTorch port, official evaluation.

Layout of `data/wider_face/`: `python tools/prepare_data.py wider-face` says what is missing.

- `WIDER_train/images/`, `WIDER_val/images/` and `wider_face_split/`, of WIDER FACE;
- `retinaface_gt_v1.1/{train,val}/label.txt`, boxes with five landmarks, of RetinaFace;
- `ground_truth/*.mat`, of WIDER FACE's evaluation tools.

The labels of the test split are not public: `tools/test.py` takes the val split. The batch
size is the leaf's.
"""

data_root = 'data/wider_face/'
input_size_px = 640

train_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadFaceAnnotations'),
    dict(
        type='mmext.RandomSquareCrop',
        scales=(0.3, 0.45, 0.6, 0.8, 1.0),
        discrete=True,
        require='whole',
    ),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=(input_size_px, input_size_px), keep_ratio=False),
    dict(type='mmext.PackKeypointInputs', outside='clamp'),  # the port cuts landmarks at the crop
]
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),  # original size; see the presets
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='mmext.LoadFaceAnnotations'),
    dict(type='mmext.PackKeypointInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmext.WiderFaceDataset',
        data_root=data_root,
        ann_file='retinaface_gt_v1.1/train/label.txt',
        data_prefix=dict(img='WIDER_train/images/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,  # every image has a size of its own
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmext.WiderFaceDataset',
        data_root=data_root,
        ann_file='retinaface_gt_v1.1/val/label.txt',
        data_prefix=dict(img='WIDER_val/images/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmext.WiderFaceMetric', ground_truth=data_root + 'ground_truth')
test_evaluator = val_evaluator
