"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.densepose import (  # noqa: F401
    crop_task,
    dataset,
    mirror_rcnn,
    pyramid_decoder,
    surface_task,
    transforms,
    trunks,
)
