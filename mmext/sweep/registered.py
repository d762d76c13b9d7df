"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.sweep.hook  # noqa: F401
