"""Pictures of predictions and annotations: numpy, OpenCV and PIL only, below cli and hooks."""
