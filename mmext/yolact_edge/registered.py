"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.yolact_edge import (  # noqa: F401
    anchor_generator,
    box_head,
    detector,
    mobilenet_v2,
    prototype_head,
    pyramid,
)
