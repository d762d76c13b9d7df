"""Measures of faces: detection, landmarks, attributes."""
