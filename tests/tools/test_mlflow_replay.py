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
        timeout=400,
    )


@pytest.fixture
def left_behind(tmp_path: Path, empty_store: Path) -> Path:
    """A work folder whose process died after one point."""
    shutil.copy(empty_store, tmp_path / 'mlflow.db')
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


_SPOILED = ['5', '[]', '{}', '\0\0', '{"kind": "hologram", "x": 1}', '{"kind": "tags"}', '{"kind"']


def test_spoiled_lines_hold_up_nobody(left_behind: Path) -> None:
    """Each is said and kept; the spool behind it and the points around it are sent."""
    folder = left_behind / 'work' / 'mlflow_spool'
    content = (folder / 's.jsonl').read_text()
    header, point = content.splitlines()
    header = header.replace('"key": "k"', '"key": "earlier"').replace(
        '"start_ms": 5', '"start_ms": 1'
    )
    (folder / 'a.jsonl').write_text('\n'.join([header, *_SPOILED, point]) + '\n')
    (folder / 'b.jsonl').write_text('{"kind": "op\n' + point + '\n')
    done = _replay(left_behind)

    assert done.returncode == 2 and 'Traceback' not in done.stderr
    outcomes = sorted(line.split()[0] for line in done.stdout.splitlines())
    assert outcomes == ['killed', 'killed', 'spoiled'] and '"refused": 7' in done.stdout
    assert 'its first line names no run' in done.stdout and '1 not sent' in done.stderr

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f'sqlite:///{left_behind / "mlflow.db"}')
    runs = client.search_runs([client.get_experiment_by_name('e').experiment_id])
    assert [run.data.metrics for run in runs] == [{'train/loss': 0.5}] * 2
    assert sorted(run.data.tags.get('mmext.rejected', '0') for run in runs) == ['0', '7']
    assert len((folder / 'a.rejected.jsonl').read_text().splitlines()) == len(_SPOILED)


def test_what_was_refused_is_sent_again(left_behind: Path) -> None:
    folder = left_behind / 'work' / 'mlflow_spool'
    spool = Spool(folder / 's.jsonl')
    spool.claim()
    picture, bad = spool.files_dir / 'p.png', records.metrics({'bad': 1.0}, 2)
    spool.append([records.file(picture, 'images/p.png'), {**bad, 'time_ms': -1}])
    spool.release()
    first = _replay(left_behind)
    assert first.returncode == 2 and '2 records were refused' in first.stderr

    spool.store_file(b'png', 'p.png')  # found again
    again = _replay(left_behind, '--rejected')
    assert again.returncode == 2 and '1 records were refused' in again.stderr
    (left,) = spool.rejections()
    assert left['time_ms'] == -1
    spool.rejected_path.write_text(spool.rejected_path.read_text().replace('-1', '7'))
    last = _replay(left_behind, '--rejected')
    assert last.returncode == 0, last.stderr
    assert not spool.rejected_path.exists() and not spool.files_dir.exists()

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f'sqlite:///{left_behind / "mlflow.db"}')
    (run,) = client.search_runs([client.get_experiment_by_name('e').experiment_id])
    assert run.data.metrics == {'train/loss': 0.5, 'bad': 1.0}
    assert run.data.tags['mmext.rejected'] == '0'
    assert [entry.path for entry in client.list_artifacts(run.info.run_id, 'images')]


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
