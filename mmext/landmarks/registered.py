"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.landmarks import (  # noqa: F401
    stacked_hourglass,
)
