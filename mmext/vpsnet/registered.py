"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.vpsnet import (  # noqa: F401
    dataset,
    detector,
    fuse_neck,
    residual_flow,
    temporal_spatial_attention,
    track_head,
    tracker,
    transforms,
)
