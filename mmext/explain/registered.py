"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.explain import caption_hook, hook, search_hook  # noqa: F401
