"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.hooks.due_validation.hook  # noqa: F401
