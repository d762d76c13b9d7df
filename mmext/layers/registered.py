"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.layers import (  # noqa: F401
    deform_conv,
    hourglass,
    optical_flow,
    pair_data_preprocessor,
    roi_align,
    shown_images,
    task_roi_head,
)
