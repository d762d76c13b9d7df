"""Pictures of predictions and annotations: numpy and cv2 only, below cli and hooks."""
