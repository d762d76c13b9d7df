"""Sentences about what the demo's UPSNet finds: color, class, ground ("a red ball on sand").

Train `upsnet_demo.py` or `language_demo.py` first and name its weights:
`--cfg-options model.checkpoint=work_dirs/language_demo/iter_800.pth`. The detector stays as it is.
"""

_base_ = '../language_demo.py'

caption_words = ('a', 'on', *_base_.words)
detector = _base_.model
model = dict(
    _delete_=True,
    type='mmext.Captioner',
    detector=detector,
    checkpoint=None,
    roi_extractor=dict(
        type='mmext.SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
        out_channels=64,
        featmap_strides=[4, 8, 16, 32],
    ),
    caption_head=dict(
        type='mmext.CaptionHead',
        in_channels=64,
        words=caption_words,
        channels=128,
        max_words=8,
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[-1].captions = True
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_evaluator = dict(
    _delete_=True, type='mmext.RegionCaptionMetric', class_words={{_base_.classes}}
)
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(captions=dict(type='mmext.CaptionSheetHook'))
