"""Exports of labeling tools, read one photo after the other and written as COCO instances."""
