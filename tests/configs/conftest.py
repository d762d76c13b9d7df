"""Miniatures of the real data sets, written once each."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# the modules that tests of this folder, and those of others, share
for folder in ('configs', 'cli/prepare', 'upsnet', 'centernet'):
    sys.path.insert(0, str(TESTS / folder))

from miniature_sets import WRITERS  # noqa: E402


@pytest.fixture(scope='session')
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a miniature, by the ``data_root`` of a config."""
    written: dict[str, Path] = {}

    def find(data_root: str) -> Path:
        name = Path(data_root).name
        if name not in written:
            folder = tmp_path_factory.mktemp('data') / name
            WRITERS[name](folder)
            written[name] = folder
        return written[name]

    return find
