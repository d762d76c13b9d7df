"""Public sets of landmarks written as COCO key points, with a picture to check them by."""
