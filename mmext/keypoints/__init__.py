"""Keypoints in mmdet's pipelines: loading, following the image, packing."""
