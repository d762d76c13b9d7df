"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.metrics import panoptic_quality_metric  # noqa: F401
