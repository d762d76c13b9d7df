"""Imports every file of this room that registers a class (see mmext.registry)."""

import mmext.hooks.mlflow_logging.hook  # noqa: F401
