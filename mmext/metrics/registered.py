"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.metrics import (  # noqa: F401
    attribute_accuracy_metric,
    coco_detection_metric,
    keypoint_oks_metric,
    landmark_nme_metric,
    panoptic_quality_metric,
    video_panoptic_quality_metric,
    wider_face_metric,
)
