"""A checkout that is not installed: its tools and configs are those beside the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}


@pytest.fixture(scope='module')
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone holds; ``mmext/.mim``, which an installation makes, is not in it."""
    copy = tmp_path_factory.mktemp('clone')
    left_out = shutil.ignore_patterns('.mim', '__pycache__')
    for name in ('mmext', 'configs', 'tools'):
        shutil.copytree(ROOT / name, copy / name, ignore=left_out)
    shutil.copy2(ROOT / 'model-index.yml', copy)
    return copy


def run(checkout: Path, *arguments: str) -> 'subprocess.CompletedProcess[str]':
    """Python in the folder of the checkout, which hides what is installed."""
    command = [sys.executable, '-W', 'ignore', *arguments]
    return subprocess.run(
        command, cwd=checkout, env=ENVIRONMENT, capture_output=True, text=True, timeout=400
    )


def test_its_tools_run_by_name(checkout: Path) -> None:
    done = run(checkout, '-m', 'mmext', 'train', 'mmext::upsnet.py', '--no-pretrained')
    assert done.returncode == 2, done.stderr  # the config was found, its data was not
    assert f'train data not found: {checkout}/data/coco' in done.stderr


def test_a_tool_is_called_as_it_was_typed(checkout: Path) -> None:
    refused = run(checkout, '-m', 'mmext', 'new')
    assert refused.returncode == 2 and refused.stderr.startswith('usage: mmext new ')
    script = checkout / 'mine.py'
    script.write_text('import sys; print(sys.argv, __name__, __file__)')
    done = run(checkout, '-m', 'mmext', 'mine.py', '--flag')
    assert done.stdout.split() == ["['mine.py',", "'--flag']", '__main__', 'mine.py']


def test_the_tools_are_named(checkout: Path) -> None:
    done = run(checkout, '-m', 'mmext', 'no_such_tool')
    assert done.returncode == 1
    assert 'no tool and no script named' in done.stderr and 'infer, ' in done.stderr
    assert 'did you mean train?' in run(checkout, '-m', 'mmext', 'trian').stderr


def test_the_help_has_every_tool_in_a_group(checkout: Path) -> None:
    done = run(checkout, '-m', 'mmext', '--help')
    tools = {path.stem for path in (checkout / 'tools').glob('*.py')} - {'setup_env'}
    listed = re.findall(r'^  (\w+)  +[A-Z]', done.stdout, re.MULTILINE)
    assert done.returncode == 0 and len(listed) == len(set(listed)) == len(tools)
    assert '\nmore:' not in done.stdout  # a new tool: which group of mmext/__main__.py?
    assert max(map(len, done.stdout.splitlines())) <= 125
    version = run(checkout, '-m', 'mmext', '--version').stdout
    assert re.fullmatch(r'mmext \d+\.\d+\.\d+\n', version)


def test_its_configs_are_inherited(checkout: Path) -> None:
    base = checkout / 'configs' / 'retinaface' / 'retinaface_r50_wider_1600.py'
    base.write_text(base.read_text() + '\nprobe = 7\n')
    (checkout / 'user.py').write_text(f"_base_ = 'mmext::retinaface/{base.name}'")
    code = (
        'import mmext\nfrom mmengine.config import Config\n'
        "print(mmext.__file__)\nprint(Config.fromfile('user.py').probe)"
    )
    done = run(checkout, '-c', code)
    assert done.stdout.split() == [str(checkout / 'mmext' / '__init__.py'), '7'], done.stderr


def test_a_config_that_does_not_exist_is_named(checkout: Path) -> None:
    done = run(checkout, '-m', 'mmext', 'train', 'mmext::upsnett.py')
    assert done.returncode == 2
    assert f'config file not found: {checkout}/configs/upsnett.py' in done.stderr
