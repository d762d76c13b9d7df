"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.language import (  # noqa: F401
    caption_head,
    captioner,
    dataset,
    embedding_classifier,
    embedding_dense_heads,
    embedding_roi_head,
    joint_embedding_loss,
    search_head,
    search_metric,
    sigmoid_class_loss,
    transforms,
    vocabulary_hook,
)
