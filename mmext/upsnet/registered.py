"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.upsnet import (  # noqa: F401
    anchor_generator,
    dataset,
    detector,
    global_context_fpn,
    panoptic_head,
    semantic_head,
    transforms,
)
