"""COCO's average precision, of boxes, masks and key points."""
