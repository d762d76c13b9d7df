"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.translation import (  # noqa: F401
    match_appearance,
)
