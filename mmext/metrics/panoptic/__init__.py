"""Panoptic quality of images and videos, and the files it is measured on."""
