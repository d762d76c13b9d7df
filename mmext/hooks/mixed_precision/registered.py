"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.hooks.mixed_precision.hook
import mmext.hooks.mixed_precision.optim_wrapper  # noqa: F401
