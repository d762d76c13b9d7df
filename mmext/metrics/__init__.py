"""Measures as pure numpy beside the thin ``BaseMetric`` classes that feed them."""
