"""tools/demo.py, before it begins."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOOL = Path(__file__).parents[2] / 'tools/demo.py'
_LOADED = """
import os, runpy, sys
runpy.run_path(sys.argv[1], run_name='loaded')
print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)
"""


def test_threads_that_wait_do_not_spin(run_to_end: Callable[..., Any]) -> None:
    """OpenMP reads the variable when torch is loaded, so it has to be there by then."""
    names = ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')
    env = {name: value for name, value in os.environ.items() if name not in names}
    done = run_to_end([sys.executable, '-c', _LOADED, TOOL], env=env)
    assert done.stdout.split() == ['1000', 'False'], done.stderr
