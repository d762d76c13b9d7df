"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.yolact_edge import (  # noqa: F401
    anchor_generator,
    box_head,
    dataset,
    detector,
    mask_tracker,
    mobilenet_v2,
    propagation,
    prototype_head,
    pyramid,
    transforms,
    video_detector,
    video_training,
)
