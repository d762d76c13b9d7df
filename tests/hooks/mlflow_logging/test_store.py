import fcntl
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest

from mmext.errors import InputError
from mmext.hooks.mlflow_logging.delivery.spool import how_to_send
from mmext.hooks.mlflow_logging.delivery.store import Store, connecting, resolve_store
from mmext.hooks.mlflow_logging.delivery.tracking import RunRequest, Tracking


def test_default_lies_in_the_work_folder(tmp_path: Path) -> None:
    assert resolve_store(None, tmp_path, {}) == Store(
        f'sqlite:///{tmp_path}/mlflow.db', f'file://{tmp_path}/mlartifacts'
    )


def test_a_child_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    """As a data worker is, when making the tables takes long."""
    uri = f'sqlite:///{tmp_path}/mlflow.db'
    with connecting(uri):
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)
    try:
        place = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(place)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_argument_goes_before_environment(tmp_path: Path) -> None:
    environment = {'MLFLOW_TRACKING_URI': 'http://a'}
    assert resolve_store(None, tmp_path, environment) == Store('http://a', None)
    assert resolve_store('http://b', tmp_path, environment) == Store('http://b', None)


@pytest.mark.parametrize(
    ('uri', 'words'),
    [
        ('ftp://host/x', 'expected one of http, .*, got ftp'),
        ('htpp://host', 'got htpp'),
        ('http://', 'it names no host'),
        ('http://:5000', 'it names no host'),
        ('http://host:99999', 'Port out of range'),
        ('http://user:secret-words@host:x', "^((?!secret).)*Port could not be cast.*'x'"),
        ('http://[::1', 'Invalid IPv6 URL'),
        ('sqlite:////proc/nowhere/x.db', 'its folder cannot be made'),
    ],
)
def test_addresses_that_nobody_answers_at(uri: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        resolve_store(uri, tmp_path, {})


@pytest.mark.parametrize(
    'uri',
    ['postgresql+psycopg2://u:p@h/db', 'databricks', 'databricks://profile', 'mlruns', 'http://h'],
)
def test_addresses_of_mlflow_are_taken(uri: str, tmp_path: Path) -> None:
    assert resolve_store(uri, tmp_path, {}) == Store(uri, None)


def test_relative_sqlite_becomes_absolute(tmp_path: Path, monkeypatch: object) -> None:
    store = resolve_store(f'sqlite:///{tmp_path}/new folder/x.db?timeout=5', 'ignored', {})
    assert store.tracking_uri == f'sqlite:///{tmp_path}/new folder/x.db?timeout=5'
    assert store.artifact_location == f'file://{tmp_path}/new%20folder/mlartifacts'
    assert Path(resolve_store('sqlite:///x.db', 'w', {}).tracking_uri[10:]) == Path.cwd() / 'x.db'


@pytest.mark.parametrize(
    'name',
    [
        'sweep lr?=0.1', 'a#b', '100%', 'a%3Fb?', "it's", '"quoted"', 'Übung 漢', '-dash',
        'back\\slash', 'a:b@c', '[x]*', 'two\nlines', 'token=abcdefgh',
    ],
)  # fmt: skip
def test_the_store_lies_in_the_work_folder_whatever_its_name(
    name: str, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('mmext.hooks.mlflow_logging.delivery.tracking._SETTLE_S', (0.02, 0.2, 2.0))
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(empty_store, folder / 'mlflow.db')
    store = resolve_store(None, folder, {})
    assert resolve_store(store.tracking_uri, 'elsewhere', {}) == store
    tracking = Tracking(store)
    run = tracking.open_run(RunRequest('k', 's', None, False, name, name, 5, {}, parent=name))
    tracking.log_text(run.run_id, 'hello', 'code/note.txt')

    stored = folder / 'mlartifacts' / run.run_id / 'artifacts/code/note.txt'
    assert stored.read_text() == 'hello'
    assert [path.name for path in tmp_path.iterdir()] == [name]
    *_, uri = shlex.split(store.how_to_view())
    assert uri == store.tracking_uri
    assert shlex.split(how_to_send(folder)) == ['python', 'tools/mlflow_replay.py', str(folder)]


def test_uris_that_sqlite_reads_itself_stay_as_they_are() -> None:
    for uri in ('sqlite:///:memory:', 'sqlite:///file:/a%3Fb/x.db?uri=true', 'sqlite:///'):
        assert resolve_store(uri, 'w', {}) == Store(uri, None)


def test_people_are_told_how_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = resolve_store(None, tmp_path, {})
    rest = f' ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db'
    monkeypatch.setenv('PATH', str(tmp_path))
    assert store.how_to_view() == f'{sys.executable} -m mlflow{rest}'
    (tmp_path / 'mlflow').touch(0o755)
    assert store.how_to_view() == f'mlflow{rest}'
    assert store.how_to_view('ab12') == f'mlflow{rest}  then http://127.0.0.1:5000/#/runs/ab12'


def test_people_are_told_no_password() -> None:
    assert Store('https://me:pw@host:5/x', None).how_to_view() == 'https://host:5/x'
    assert Store('http://host:5/', None).how_to_view('ab12') == 'http://host:5/#/runs/ab12'
