"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.layers import deform_conv, roi_align  # noqa: F401
