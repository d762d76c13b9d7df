import importlib
import json
import subprocess
from pathlib import Path

import pytest

from mmext.hooks.mlflow_logging.content.provenance import (
    code_records,
    environment_records,
    installed_packages,
)


def _git(folder: Path, *arguments: str) -> str:
    identity = ['-c', 'user.name=t', '-c', 'user.email=t@t']
    command = ['git', *identity, '-C', str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_and_patch_rebuild_the_code(tmp_path: Path) -> None:
    source = tmp_path / 'repository'
    source.mkdir()
    _git(source, 'init', '-q', '-b', 'trunk')
    (source / 'a.py').write_text('one\n')
    _git(source, 'add', '.')
    _git(source, 'commit', '-qm', 'first')
    (source / 'a.py').write_text('two\n')
    (source / 'new.py').write_text('three\n')
    for setting in ('color.ui', 'diff.noprefix'):  # as people set them for their screen
        _git(source, 'config', setting, 'always' if setting == 'color.ui' else 'true')

    tags, patch, untracked = code_records(source)

    assert tags['values'] == {
        'mlflow.source.git.commit': _git(source, 'rev-parse', 'HEAD'),
        'mlflow.source.git.branch': 'trunk',
        'mlflow.source.git.dirty': 'true',
    }
    assert untracked['content'] == 'new.py\n'
    _git(source, 'clone', '-q', '.', str(tmp_path / 'copy'))
    (tmp_path / 'patch').write_text(patch['content'])
    _git(tmp_path / 'copy', 'apply', str(tmp_path / 'patch'))
    assert (tmp_path / 'copy' / 'a.py').read_text() == 'two\n'


def test_outside_of_git_there_is_nothing(tmp_path: Path) -> None:
    assert list(code_records(tmp_path)) == []


def test_environment() -> None:
    requirements, machine = environment_records({'GPU 0': 'none'})
    assert 'torch==' in requirements['content']
    facts = json.loads(machine['content'])
    assert facts['GPU 0'] == 'none' and 'python' in facts


@pytest.mark.parametrize('imported_by_mlflow', ['importlib.metadata', 'importlib_metadata'])
def test_what_an_interrupted_installation_has_left_is_no_package(
    imported_by_mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module(imported_by_mlflow)  # the backport changes what Python's own finds
    (tmp_path / '~orch-2.0.dist-info').mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = installed_packages()
    assert packages['torch'] and all(packages) and all(packages.values())
    assert next(environment_records({}))['content'].count('torch==') == 1
