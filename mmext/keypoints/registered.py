"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.keypoints import coco_dataset, transforms  # noqa: F401
