"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.retinaface import (  # noqa: F401
    close_up,
    context_module,
    dataset,
    detector,
    feature_pyramid,
    head,
    mobilenet_v1,
    transforms,
)
