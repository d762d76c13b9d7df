import sys
from pathlib import Path

import pytest

from mmext.hooks.mlflow_logging.delivery.store import Store, resolve_store


def test_default_lies_in_the_work_folder(tmp_path: Path) -> None:
    assert resolve_store(None, tmp_path, {}) == Store(
        f'sqlite:///{tmp_path}/mlflow.db', f'file://{tmp_path}/mlartifacts'
    )


def test_argument_goes_before_environment(tmp_path: Path) -> None:
    environment = {'MLFLOW_TRACKING_URI': 'http://a'}
    assert resolve_store(None, tmp_path, environment) == Store('http://a', None)
    assert resolve_store('http://b', tmp_path, environment) == Store('http://b', None)


def test_relative_sqlite_becomes_absolute(tmp_path: Path, monkeypatch: object) -> None:
    store = resolve_store(f'sqlite:///{tmp_path}/new folder/x.db?timeout=5', 'ignored', {})
    assert store.tracking_uri == f'sqlite:///{tmp_path}/new folder/x.db?timeout=5'
    assert store.artifact_location == f'file://{tmp_path}/new%20folder/mlartifacts'
    assert Path(resolve_store('sqlite:///x.db', 'w', {}).tracking_uri[10:]) == Path.cwd() / 'x.db'


def test_people_are_told_how_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = resolve_store(None, tmp_path, {})
    rest = f' ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db'
    monkeypatch.setenv('PATH', str(tmp_path))
    assert store.how_to_view() == f'{sys.executable} -m mlflow{rest}'
    (tmp_path / 'mlflow').touch(0o755)
    assert store.how_to_view() == f'mlflow{rest}'


def test_people_are_told_no_password() -> None:
    assert Store('https://me:pw@host:5/x', None).how_to_view() == 'https://host:5/x'
