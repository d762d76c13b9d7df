"""Measures of faces: detection and attributes."""
