"""The command that sends what was kept: a real run, its exit code, its words on bad input."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.spool import Spool

_TOOL = Path(__file__).parents[2] / 'tools' / 'mlflow_replay.py'


def _replay(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(_TOOL), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, 'MLFLOW_DISABLE_TELEMETRY': 'true'},
        cwd=_TOOL.parents[1],
        timeout=120,
    )


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    """A work folder whose process died after one point."""
    run = {
        'key': 'k', 'session': 's', 'run_id': None, 'continues': False, 'experiment': 'e',
        'name': 'n', 'start_ms': 5, 'tags': {}, 'parent': None,
    }  # fmt: skip
    header = {
        'kind': 'open',
        'mode': 'train',
        'run': run,
        'artifact_location': (tmp_path / 'artifacts').as_uri(),
        'tracking_uri': f'sqlite:///{tmp_path / "mlflow.db"}',
    }
    spool = Spool(tmp_path / 'work' / 'mlflow_spool' / 's.jsonl')
    spool.claim()
    spool.append([header, records.metrics({'train/loss': 0.5}, 1, once=True)])
    spool.release()
    return tmp_path


def test_dead_session_is_sent_and_closed(left_behind: Path) -> None:
    done = _replay(left_behind)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('killed ')

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f'sqlite:///{left_behind / "mlflow.db"}')
    experiment = client.get_experiment_by_name('e')
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == 'KILLED' and run.data.metrics == {'train/loss': 0.5}


def test_no_server_is_said_and_nothing_is_lost(left_behind: Path) -> None:
    spool = left_behind / 'work' / 'mlflow_spool' / 's.jsonl'
    before = shutil.copy(spool, left_behind / 'before')
    done = _replay(left_behind, '--tracking-uri', 'http://127.0.0.1:9')
    assert done.returncode == 2
    assert 'kept' in done.stdout and '1 not sent' in done.stderr
    assert 'Traceback' not in done.stderr
    assert spool.read_text().startswith(Path(before).read_text())


def test_no_server_to_reap_on_is_one_line() -> None:
    done = _replay('--reap', 'http://127.0.0.1:9')
    assert done.returncode == 2
    assert done.stderr.startswith('error: --reap http://127.0.0.1:9: ')
    assert 'Traceback' not in done.stderr


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    done = _replay(tmp_path / 'nowhere')
    assert done.returncode == 2
    assert done.stderr.strip() == f'error: no such folder: {tmp_path / "nowhere"}'
    assert 'nothing to do' in _replay().stderr
    assert _replay('--help').returncode == 0
