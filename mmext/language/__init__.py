"""Detectors and words: classes as text vectors, search by words, sentences about regions."""
