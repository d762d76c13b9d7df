"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.hooks.data_workers.hook
import mmext.hooks.data_workers.waiting  # noqa: F401
