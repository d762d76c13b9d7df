"""An installed mmext, away from its checkout: wheel, wheel from the sdist, editable.

The packages are built from a copy of the sources and installed into fresh
virtual environments that see the site-packages of the running one (torch and
the host are not installed again). Child processes with an empty working
directory then do what a user does.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'VIRTUAL_ENV')}

# What each way of inheriting must give, whatever the project's own configs are.
PROBE_BASE = 'probe = dict(value=7)\n'
PROBE_CONFIG = """
_base_ = ['mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', '../_base_/probe_base.py']
model = dict(backbone=dict(init_cfg=None))
"""
PROBE_HEADLINE = "_base_ = 'probe/probe.py'\n"  # in configs/ itself, like upsnet.py
USER_CONFIG = "_base_ = 'mmext::probe_headline.py'\nmodel = dict(backbone=dict(depth=18))\n"

USE_PROBE = """
from mmengine.config import Config
import mmext

cfg = Config.fromfile('user.py')
assert cfg.probe.value == 7
assert cfg.model.type == 'PanopticFPN'
assert cfg.model.backbone.depth == 18
assert cfg.model.backbone.init_cfg is None

from mmdet.registry import MODELS
cfg.model.neck.in_channels = [64, 128, 256, 512]
cfg.model.panoptic_fusion_head.test_cfg = cfg.model.test_cfg
assert type(MODELS.build(cfg.model.neck)).__name__ == 'FPN'
"""

# Every shipped config, inherited by a user's file, and every class of ours by its prefix.
USE_ALL = """
import sys
from pathlib import Path
from mmengine.config import Config
import mmext
from mmdet import registry as host
from mmengine.registry import DefaultScope
from mmext import registry

installed = Path(mmext.__file__).parent / '.mim'
configs = installed / 'configs'
paths = [path for path in configs.rglob('*.py') if '_base_' not in path.parts]
assert len(paths) > 1
for path in paths:
    name = path.relative_to(configs).as_posix()
    Path('user.py').write_text(f"_base_ = 'mmext::{name}'")
    # placeholders of base variables without a value differ from one reading to the next
    assert Config.fromfile('user.py').to_dict() == Config.fromfile('user.py').to_dict(), name

DefaultScope.get_instance('user', scope_name='mmdet')
found = 0
for kind in ('MODELS', 'DATASETS', 'TRANSFORMS', 'METRICS', 'HOOKS'):
    ours = getattr(registry, kind)
    ours.import_from_location()
    for name in ours.module_dict:
        assert getattr(host, kind).get(f'mmext.{name}') is ours.module_dict[name]
        found += 1
assert found
"""


def run(*command: object, cwd: Path) -> str:
    """Run a command; the test fails with its output if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what a clone holds, with one config more."""
    copy = tmp_path_factory.mktemp('source')
    ignored = shutil.ignore_patterns('.mim', '__pycache__')
    for name in ('mmext', 'configs', 'tools'):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != '.coverage':
            shutil.copy2(path, copy)
    (copy / 'configs' / 'probe').mkdir()
    (copy / 'configs' / 'probe' / 'probe.py').write_text(PROBE_CONFIG)
    (copy / 'configs' / 'probe_headline.py').write_text(PROBE_HEADLINE)
    (copy / 'configs' / '_base_' / 'probe_base.py').write_text(PROBE_BASE)
    return copy


@pytest.fixture(scope='module')
def wheel(source: Path) -> Path:
    return build_wheel(source)


def build_wheel(source: Path) -> Path:
    pip = (sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation')
    run(*pip, '--wheel-dir', source / 'out', source, cwd=source)
    shutil.rmtree(source / 'build')
    return next((source / 'out').glob('*.whl'))


def new_environment(folder: Path, *install: object) -> Path:
    """Make an environment on top of the running one, install mmext; return its Python."""
    run(sys.executable, '-m', 'venv', '--without-pip', folder, cwd=folder.parent)
    python = folder / 'bin' / 'python'
    own = next(folder.glob('lib/python*/site-packages'))
    # a directory named in a .pth file adds its modules, not its own .pth files
    (own / 'host.pth').write_text(sysconfig.get_paths()['purelib'])
    pip = (sys.executable, '-m', 'pip', '--python', python, 'install')
    run(*pip, '--no-deps', '--no-build-isolation', *install, cwd=folder)
    return python


@pytest.fixture(scope='module')
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the wheel installed."""
    return new_environment(tmp_path_factory.mktemp('user') / 'venv', wheel)


def test_wheel_holds_configs_and_tools(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ('configs', 'tools'):
        for path in (ROOT / folder).rglob('*.py'):
            name = f'mmext/.mim/{path.relative_to(ROOT).as_posix()}'
            assert (name in names) == (path.name != 'setup_env.py'), name
    assert 'mmext/.mim/model-index.yml' in names
    assert 'mmext/.mim/configs/metafile.yml' in names
    assert 'mmext/py.typed' in names
    assert {name.partition('/')[0] for name in names} == {'mmext', f'{wheel.name[:11]}.dist-info'}


def test_wheel_from_sdist_is_the_same(
    source: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp('sdist')
    code = f'from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})'
    run(sys.executable, '-c', code, cwd=source)
    with tarfile.open(next(folder.glob('*.tar.gz'))) as archive:
        archive.extractall(folder, filter='data')
    unpacked = next(path for path in folder.iterdir() if path.is_dir())
    again = build_wheel(unpacked)
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_inheritance_from_a_wheel(python: Path, tmp_path: Path) -> None:
    (tmp_path / 'user.py').write_text(USER_CONFIG)
    run(python, '-W', 'ignore', '-c', USE_PROBE, cwd=tmp_path)


def test_every_config_and_class_from_a_wheel(python: Path, tmp_path: Path) -> None:
    where = run(python, '-c', 'import mmext; print(mmext.__file__)', cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(python.parents[1])
    run(python, '-W', 'ignore', '-c', USE_ALL, cwd=tmp_path)


def test_a_step_of_every_system_from_a_wheel(python: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name('one_step_each.py')
    assert run(python, '-W', 'ignore', script, ROOT / 'tests', cwd=tmp_path).count('trained') == 7


def test_editable_install_sees_edited_configs(source: Path, tmp_path: Path) -> None:
    python = new_environment(tmp_path / 'venv', '-e', source)
    (tmp_path / 'user.py').write_text(USER_CONFIG)
    run(python, '-W', 'ignore', '-c', USE_PROBE, cwd=tmp_path)
    base = source / 'configs' / '_base_' / 'probe_base.py'
    base.write_text(PROBE_BASE.replace('7', '8'))
    try:
        code = USE_PROBE.partition('from mmdet')[0].replace('== 7', '== 8')
        run(python, '-W', 'ignore', '-c', code, cwd=tmp_path)
    finally:
        base.write_text(PROBE_BASE)


def test_python_m_runs_any_script_with_our_configs(python: Path, tmp_path: Path) -> None:
    (tmp_path / 'user.py').write_text(USER_CONFIG)
    (tmp_path / 'neighbour.py').write_text('value = 3')
    (tmp_path / 'tool.py').write_text(
        'import sys, neighbour\n'
        'from mmengine.config import Config\n'
        "print(sys.argv[1:], neighbour.value, Config.fromfile('user.py').probe.value)\n"
    )
    printed = run(python, '-m', 'mmext', tmp_path / 'tool.py', '--flag', cwd=tmp_path)
    assert printed.splitlines()[-1] == "['--flag'] 3 7"


def test_python_m_runs_an_installed_tool(python: Path, tmp_path: Path) -> None:
    assert 'usage:' in run(python, '-m', 'mmext', 'train', '--help', cwd=tmp_path)


def test_the_command_lists_and_runs_the_tools(python: Path, tmp_path: Path) -> None:
    command = python.with_name('mmext')
    listed = run(command, '--help', cwd=tmp_path)
    assert '  check ' in listed and '  train ' in listed and 'setup_env' not in listed
    assert 'usage: mmext train ' in run(command, 'train', '--help', cwd=tmp_path)
    code = 'import mmext; print(mmext.load.__module__)'
    assert run(python, '-W', 'ignore', '-c', code, cwd=tmp_path) == 'mmext.inference.model\n'


def test_setup_replaces_an_mmcv_without_operators(wheel: Path, tmp_path: Path) -> None:
    """As pip builds it by itself. The wheel that the set-up of the checkout has kept is taken."""
    python = new_environment(tmp_path / 'venv', wheel)
    own = next(python.parents[1].glob('lib/python*/site-packages'))
    host = Path(sysconfig.get_paths()['purelib'])
    shutil.copytree(host / 'mmcv', own / 'mmcv', ignore=shutil.ignore_patterns('_ext*'))
    (metadata,) = host.glob('onedl_mmcv-*.dist-info')
    shutil.copytree(metadata, own / metadata.name)
    command = python.with_name('mmext')
    assert 'not compiled' in run(command, 'info', cwd=tmp_path)
    done = subprocess.run(
        [command, 'train', 'mmext::upsnet_demo.py', '--cfg-options', 'train_dataloader=None'],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    kept = Path(ENVIRONMENT.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'mmext' / 'wheels'
    if not list(kept.glob('*/*.whl')):
        pytest.skip('compiling takes minutes')
    assert 'from the cache' in run(command, 'setup', cwd=tmp_path)
    assert 'mmcv operators     compiled' in run(command, 'info', cwd=tmp_path)
    assert 'left alone' in run(command, 'setup', cwd=tmp_path)


def test_python_m_names_the_tools(python: Path, tmp_path: Path) -> None:
    command = [python, '-m', 'mmext', 'no_such_tool']
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 1
    assert "no tool and no script named 'no_such_tool'" in done.stderr
    assert 'Traceback' not in done.stderr
