"""The demo's UPSNet with words for classes: regions are found by words, and by words taken away.

Its classifier compares regions with learned vectors of 5 classes, 11 colors and 5 kinds of ground;
those of a region (measured on its pixels by `mmext.MeasureTags`) are added up, and brought
together with it by a head for search on its pixels, beside the box head, which learns as in
`upsnet_demo.py`.
`mmext find` searches by them.
"""

_base_ = './upsnet_demo.py'

classes = ('ball', 'crate', 'tree', 'mushroom', 'fish')
words = (
    *classes,
    *('red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink', 'brown', 'white', 'gray'),
    *('black', 'sky', 'grass', 'water', 'sand', 'road'),
)
dim = 64
model = dict(
    roi_head=dict(
        type='mmext.EmbeddingRoIHead',
        bbox_head=dict(
            cls_predictor_cfg=dict(
                type='mmext.EmbeddingClassifier', words=words, classes=classes, dim=dim
            )
        ),
        embedding_loss=dict(
            type='mmext.JointEmbeddingLoss',
            dim=dim,
            num_classes=len(classes),
            word_weight=2.0,
            loss_weight=0.5,
        ),
        search_head=dict(type='mmext.SearchHead', dim=dim, memory=8192),
    )
)
train_pipeline = [
    *_base_.train_pipeline,
    dict(
        type='mmext.MeasureTags',
        words=words,
        classes={{_base_.metainfo.classes}},
        grounds={{_base_.metainfo.stuff_classes}},
    ),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_pipeline = [
    dict(type='mmext.LoadImageFromFile'),
    dict(type='mmext.LoadPanopticAnnotations'),
    dict(
        type='mmext.RegionCaptions',  # before the size of the image changes
        words=words,
        classes={{_base_.metainfo.classes}},
        grounds={{_base_.metainfo.stuff_classes}},
    ),
    dict(type='Resize', scale=(192, 128), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=(
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'seg_map_path'),
            *('segments_info', 'instances', 'region_captions', 'region_tags', 'gt_caption'),
        ),
    ),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    *_base_.val_evaluator[:2],
    dict(
        type='mmext.RegionSearchMetric',
        groups=dict(name=classes, color=words[5:16], ground=words[16:]),
    ),
]
test_evaluator = val_evaluator
default_hooks = dict(
    vocabulary=dict(type='mmext.VocabularyHook'),
    search=dict(type='mmext.SearchSheetHook', texts=('red ball', 'green tree', 'fish in water')),
)
