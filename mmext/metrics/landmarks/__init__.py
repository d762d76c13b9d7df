"""Landmarks and key points: how far predicted points are from annotated ones."""
