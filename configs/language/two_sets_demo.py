"""Two data sets, each of which labels other classes, train one detector.

In every second of the demo's pictures balls, crates and trees are labelled, in the others trees,
mushrooms and fish. What a set calls background is no negative of the classes that it does not
label (`mmext.PartialCocoDataset`). Evaluated on all five.
"""

_base_ = './mask-rcnn_demo.py'

train_pipeline = _base_.train_pipeline
train_pipeline[-1].meta_keys = (
    *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction'),
    'labelled_classes',
)
first = dict(
    type='mmext.PartialCocoDataset',
    data_root={{_base_.data_root}},
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img='train2017/'),
    metainfo={{_base_.metainfo}},
    filter_cfg=dict(filter_empty_gt=False),
    pipeline=train_pipeline,
    labelled=('ball', 'crate', 'tree'),
    share=(0, 2),
)
second = dict(first, labelled=('tree', 'mushroom', 'fish'), share=(1, 2))
train_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[first, second]))
