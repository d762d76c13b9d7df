"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.pipelines import keypoint_coco_dataset, keypoint_transforms, loading  # noqa: F401
