"""Everything that mmext takes from mmcv, mmdet and mmengine, one test for each name.

After an update of the host this file says at once which names went away and
which of our modules use them. ``pytest --collect-only -q`` on it prints the list.
"""

import importlib
from types import ModuleType

import pytest
from sources import host_symbols

SYMBOLS = host_symbols()

# Names of the host that begin with an underscore may go with any release: each needs a reason.
PRIVATE = {
    # it refuses `mmext::file.py`, and knows no checkout
    'mmengine.config.Config._get_cfg_path',
    'mmengine.runner.checkpoint._safe_torch_load',  # it runs the code in a checkpoint
}

# Names that exist, with what to use instead.
AVOID = {
    'mmdet.structures.INSTANCE_OFFSET': 'mmdet.evaluation.functional, as in upstream mmdet',
    'mmdet.evaluation.FasterCocoMetric': 'only the fork has it',
    'mmengine.utils.digit_version': 'importlib.metadata with packaging.version',
    'mmcv.ops.RoIPool': 'RoIAlign: RoIPool has no CPU kernel',
}


def find(dotted: str) -> object:
    """Import or look up a dotted name; raises ImportError or AttributeError."""
    parent, _, name = dotted.rpartition('.')
    if not parent:
        return importlib.import_module(dotted)
    owner = find(parent)
    if isinstance(owner, ModuleType) and not hasattr(owner, name):
        return importlib.import_module(dotted)
    return getattr(owner, name)


@pytest.mark.parametrize('symbol', SYMBOLS)
def test_host_has(symbol: str) -> None:
    try:
        find(symbol)
    except (ImportError, AttributeError) as error:
        users = ', '.join(SYMBOLS[symbol])
        pytest.fail(f'the installed host has no {symbol} (used by {users}): {error}')


def test_only_public_names() -> None:
    private = {
        name
        for name in SYMBOLS
        if any(part[0] == '_' and not part.endswith('__') for part in name.split('.'))
    }
    assert private <= PRIVATE, 'find a public way or state the reason in PRIVATE'


def test_no_name_that_has_a_better_one() -> None:
    assert not {name: better for name, better in AVOID.items() if name in SYMBOLS}
