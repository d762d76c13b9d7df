"""A YolactEdge small enough to run in milliseconds, mmdet's YOLACT beside it, and samples."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdet.models.detectors import BaseDetector

sys.path.insert(0, str(Path(__file__).parent))  # the modules that tests of this folder share
from small_yolact import host_model, small_model

Build = Callable[..., BaseDetector]


@pytest.fixture
def build() -> Build:
    """Builds the small model, with changes: ``build(mask_head=dict(with_seg_branch=False))``."""
    return small_model


@pytest.fixture
def build_host() -> Callable[..., Any]:
    """Builds mmdet's YOLACT in the same size."""
    return host_model
