"""One small generated set for all tests of this folder; none of them changes it."""

from pathlib import Path

import pytest

from mmext.demo.panoptic import write_panoptic_dataset


@pytest.fixture(scope='session')
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('demo') / 'set'
    write_panoptic_dataset(root, num_train=40, num_val=20, seed=3)
    return root
