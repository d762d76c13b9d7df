"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.hooks.finite_weights.hook  # noqa: F401
