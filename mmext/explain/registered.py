"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.explain.hook  # noqa: F401
