"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.layers import deform_conv, hourglass, optical_flow, roi_align  # noqa: F401
