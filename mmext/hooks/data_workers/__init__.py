"""Data workers that end when they fail and when the training ends: ``mmext.DataWorkersHook``."""
