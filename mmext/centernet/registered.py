"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.centernet import (  # noqa: F401
    corner_pooling,
    dla,
    point_detector,
    point_head,
    point_transforms,
    pose_head,
    triplet_detector,
    triplet_head,
    upsampling_necks,
)
