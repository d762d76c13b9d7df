"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.metrics.coco import (  # noqa: F401
    detection_metric,
    key_age_metric,
    keypoint_oks_metric,
)
from mmext.metrics.faces import (  # noqa: F401
    attribute_accuracy_metric,
    wider_face_metric,
)
from mmext.metrics.landmarks import nme_metric, pck_metric  # noqa: F401
from mmext.metrics.language import (  # noqa: F401
    caption_metric,
    region_caption_metric,
    retrieval_metric,
)
from mmext.metrics.panoptic import quality_metric, video_quality_metric  # noqa: F401
from mmext.metrics.pictures import feature_distance_metric, likeness_metric  # noqa: F401
from mmext.metrics.surface import surface_metric  # noqa: F401
