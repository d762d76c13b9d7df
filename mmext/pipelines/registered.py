"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.pipelines import (  # noqa: F401
    coco_dataset,
    data_check_hook,
    frame_pairs,
    keypoint_coco_dataset,
    keypoint_transforms,
    loading,
    video_sampler,
)
