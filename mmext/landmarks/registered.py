"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.landmarks import (  # noqa: F401
    dataset,
    estimator,
    heatmap_head,
    integral_head,
    keypoint_rcnn_task,
    regression_head,
    simcc_head,
    stacked_hourglass,
    transforms,
)
