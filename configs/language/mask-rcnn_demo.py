"""The demo's Mask R-CNN with words for classes: the list of words can change after the training."""

_base_ = [
    '../_base_/models/mask-rcnn_words_demo.py',
    '../_base_/datasets/demo_instances.py',
    '../_base_/schedules/demo.py',
]

default_hooks = dict(vocabulary=dict(type='mmext.VocabularyHook', replaceable=True))
