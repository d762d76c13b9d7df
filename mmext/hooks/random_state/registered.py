"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.hooks.random_state.hook  # noqa: F401
