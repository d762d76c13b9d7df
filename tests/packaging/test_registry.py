"""``type='mmext.X'`` and plain mmdet names resolve in every constellation of scopes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmdet import registry as host
from mmengine.registry import Registry

from mmext import registry

ROOT = Path(__file__).resolve().parents[2]


PROBE = """
from torch import nn
from mmext.registry import MODELS


@MODELS.register_module()
class Probe(nn.Module):
    pass
"""

THIRDPARTY_REGISTRY = """
from mmdet.registry import MODELS as parent
from mmengine.registry import Registry

MODELS = Registry('model', parent=parent, scope='thirdparty', locations=['thirdparty.necks'])
"""

NECK = """
from torch import nn
from {registry} import MODELS


@MODELS.register_module()
class {name}(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = MODELS.build(inner)
"""

EXPECTED = {
    'our_prefix_below_mmdet_without_custom_imports': 'Probe',
    'plain_mmdet_name_below_our_scope': 'ResNet',
    'plain_name_of_ours_below_our_scope': 'Probe',
    'mmdet_detector_builds_plain_names_below_our_scope': 'ResNet',
    'inherited_detector_with_our_neck': 'Probe',
    'inherited_override_with_our_prefix_below_our_scope': 'Probe',
    'host_hook_inherited_from_us': 'NumClassCheckHook',
    'host_sampler_inherited_from_us': 'type',
    'mmengine_wrapper_inherited_from_us': 'OptimWrapper',
    'no_default_scope': 'Probe',
    'users_package_with_its_own_scope': 'UsersNeck',
    'users_package_below_our_scope': 'UsersNeck',
    'our_prefix_below_mmengine': 'Probe',
    'users_class_in_mmdets_registry_by_custom_imports': 'Probe',
}


@pytest.fixture(scope='module')
def ran(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Run all cases with a copy of mmext in which one room has a class more."""
    path = tmp_path_factory.mktemp('path')
    shutil.copytree(
        ROOT / 'mmext', path / 'mmext', ignore=shutil.ignore_patterns('.mim', '__pycache__')
    )
    (path / 'mmext' / 'layers' / 'probe.py').write_text(PROBE)
    with (path / 'mmext' / 'layers' / 'registered.py').open('a') as file:
        file.write('from mmext.layers import probe\n')
    user = path / 'thirdparty'
    user.mkdir()
    (user / '__init__.py').touch()
    (user / 'registry.py').write_text(THIRDPARTY_REGISTRY)
    for file_name, name, package in (
        ('necks.py', 'UsersNeck', 'thirdparty.registry'),
        ('plain.py', 'PlainNeck', 'mmdet.registry'),
    ):
        (user / file_name).write_text(NECK.format(name=name, registry=package))
    script = Path(__file__).with_name('registry_cases.py')
    return subprocess.run(
        [sys.executable, script],
        cwd=path,
        env=os.environ | {'PYTHONPATH': str(path)},
        capture_output=True,
        text=True,
        timeout=400,
    )


@pytest.fixture(scope='module')
def outcomes(ran: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize('case', EXPECTED)
def test_resolves(case: str, outcomes: dict[str, str]) -> None:
    assert outcomes[case].partition(':')[0] == EXPECTED[case], outcomes[case]


def test_unknown_name_is_named_in_the_error(outcomes: dict[str, str]) -> None:
    error = outcomes['unknown_name_of_ours_is_an_error']
    assert error.startswith('KeyError')
    assert 'NoSuchThing' in error


def test_every_case_is_expected(outcomes: dict[str, str]) -> None:
    assert set(outcomes) == {*EXPECTED, 'unknown_name_of_ours_is_an_error'}


def test_no_warning_about_scopes(ran: subprocess.CompletedProcess[str]) -> None:
    assert 'Failed to search registry' not in ran.stdout + ran.stderr
    assert 'is not installed' not in ran.stdout + ran.stderr


def test_every_host_registry_has_a_child() -> None:
    kinds = {name: value for name, value in vars(host).items() if isinstance(value, Registry)}
    parents = {name for name in kinds if not name.startswith('MMENGINE_')}
    assert len(parents) > 15
    for name in parents:
        child = getattr(registry, name)
        assert child.parent is kinds[name], name
        assert child.scope == 'mmext', name
        assert child._locations, f'{name}: mmengine warns when a registry has no location'
