"""Dense surfaces of persons: geodesic point similarity and its average precision."""
