"""``import mmext`` is cheap: it must not load what only a training run needs."""

import subprocess
import sys


def loaded_after(code: str, *packages: str) -> str:
    """Run ``code`` in a fresh interpreter; return which of ``packages`` are loaded then."""
    code = f'import sys; {code}; print([name for name in {packages} if name in sys.modules])'
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_package_loads_no_framework() -> None:
    heavy = ('torchvision', 'mlflow', 'panopticapi', 'mmdet', 'mmcv')
    assert loaded_after('import mmext', *heavy) == '[]'


def test_registries_load_no_class() -> None:
    heavy = ('mmdet.models', 'mmdet.datasets', 'mmext.upsnet', 'mlflow')
    assert loaded_after('import mmext.registry', *heavy) == '[]'


def test_look_ups_load_nothing_forbidden() -> None:
    look_up = 'from mmext.registry import MODELS, METRICS, HOOKS; {}'.format(
        '; '.join(f"{kind}.get('NoSuchName')" for kind in ('MODELS', 'METRICS', 'HOOKS'))
    )
    assert loaded_after(look_up, 'torchvision', 'panopticapi', 'trackeval') == '[]'
