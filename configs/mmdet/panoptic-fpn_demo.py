"""mmdet's Panoptic FPN on the generated panoptic set: the control for `upsnet_demo.py`."""

_base_ = '../_base_/panoptic_demo.py'
