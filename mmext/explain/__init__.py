"""Why a detector said it: maps of its detections, its features, its errors."""
