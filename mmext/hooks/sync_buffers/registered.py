"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.hooks.sync_buffers.hook  # noqa: F401
