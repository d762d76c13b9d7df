"""Landmarks: heat-maps and coordinates side by side, on crops and on regions of a detector."""
