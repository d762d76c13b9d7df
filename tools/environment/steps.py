"""The steps of the set-up, and which of them are still to do.

Each step leaves a stamp with a hash of what it depends on and is skipped while that hash holds.
"""

from __future__ import annotations  # an old Python must get as far as `check_machine`

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from environment import commands
from environment.commands import ask, pip, run, say, works
from environment.mmcv_wheel import install_mmcv

STAMPS = commands.VENV / '.setup-stamps'


def make_venv() -> None:
    run('venv', sys.executable, '-m', 'venv', '--clear', commands.VENV)
    pip('venv', 'install', 'pip>=24', 'setuptools', 'wheel', 'ninja')


def install_torch() -> None:
    pip('torch', 'install', 'torch', 'numpy')


def install_project() -> None:
    extras = 'export,explain,sweep,dev'
    pip('mmext', 'install', '--no-build-isolation', '-e', f'{commands.ROOT}[{extras}]')
    if not works('import cv2'):
        # Both builds of OpenCV are pulled in, one over the other; the first wants a desktop's
        # libGL. Let the second, of the same version, come out on top.
        headless = 'opencv-python-headless'
        found = ask(f'from importlib.metadata import version; print(version("{headless}"), end="")')
        pip('mmext', 'install', '--force-reinstall', '--no-deps', f'{headless}=={found}')


def check() -> None:
    """Use each part once and say which versions were found."""
    report = commands.WORK / 'versions.json'
    report.unlink(missing_ok=True)
    run('check', commands.PYTHON, '-W', 'ignore', '-c', CHECK, report)
    say('      ' + ', '.join(f'{name} {v}' for name, v in json.loads(report.read_text()).items()))


CHECK = """
import importlib.util, json, sys
import cv2, torch, mmcv, mmdet, mmengine, numpy
from importlib.metadata import version
from mmcv.ops import nms
import mmcv._ext

boxes = torch.tensor([[0., 0, 9, 9], [0, 0, 9, 8], [20, 20, 29, 29]])
kept = nms(boxes, torch.tensor([.9, .8, .7]), 0.5)[1].tolist()
assert kept == [0, 2], f'mmcv.ops.nms keeps {kept} where [0, 2] is right'
assert importlib.util.find_spec('torchvision') is None, 'torchvision got into the environment'
found = {'torch': torch.__version__, 'numpy': numpy.__version__, 'mmcv': mmcv.__version__,
         'mmengine': mmengine.__version__, 'mmdet': mmdet.__version__,
         'mlflow': version('mlflow'), 'mmext': version('mmext')}
open(sys.argv[1], 'w').write(json.dumps(found))
"""


@dataclass(frozen=True)
class Step:
    """One stage: what it is called, what it does, and what it depends on."""

    name: str
    text: str
    action: Callable[[], None]
    depends_on: tuple[str, ...] = ()


def plan() -> list[Step]:
    """Return the steps in order; each depends on those before it as well."""
    constraints = commands.CONSTRAINTS.read_text()
    return [
        Step('venv', 'create .venv', make_venv, (sys.version, sys.base_prefix, constraints)),
        Step('torch', 'install torch (about 1 minute)', install_torch),
        Step('mmcv', 'install mmcv (about 3 minutes the first time)', install_mmcv),
        Step(
            'mmext',
            'install mmdetection, MLflow, mmext and the test tools (about 2 minutes)',
            install_project,
            (project_metadata(), (commands.ROOT / 'setup.py').read_text()),
        ),
        Step('check', 'check that it all works', check, (CHECK,)),
    ]


def project_metadata() -> str:
    """Return the part of pyproject.toml that an installation depends on."""
    import tomllib  # not in the old Pythons that `check_machine` turns away

    settings = tomllib.loads((commands.ROOT / 'pyproject.toml').read_text())
    return json.dumps([settings['build-system'], settings['project']])


def carry_out(steps: list[Step]) -> None:
    """Do the steps whose stamp is missing or out of date."""
    key = ''
    for number, step in enumerate(steps, 1):
        key = hashlib.sha256('\0'.join((key, *step.depends_on)).encode()).hexdigest()
        stamp = STAMPS / step.name
        if stamp.exists() and stamp.read_text() == key:
            continue
        say(f'[{number}/{len(steps)}] {step.text} ...')
        start = time.monotonic()
        for outdated in steps[number - 1 :]:
            (STAMPS / outdated.name).unlink(missing_ok=True)
        step.action()
        STAMPS.mkdir(exist_ok=True)
        stamp.write_text(key)
        say(f'      done in {time.monotonic() - start:.0f} s')
