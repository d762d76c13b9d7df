"""What every test runs under: one thread per worker, and mmengine's global scope put back."""

import os
import sys
from collections.abc import Iterator

import pytest

# Before torch, numpy and OpenCV are loaded, and inherited by the processes that tests start:
# the workers share the cores, and more threads than cores make everything slower.
for _variable in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ.setdefault(_variable, '1')


@pytest.fixture(autouse=True)
def _own_default_scope() -> Iterator[None]:
    """Forget the default scopes that a test opened: the last one counts for whoever asks next."""
    yield
    registry = sys.modules.get('mmengine.registry')
    if registry is not None:
        registry.DefaultScope._instance_dict.clear()
