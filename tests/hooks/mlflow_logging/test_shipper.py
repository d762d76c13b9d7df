"""The way from spool to store, on a real SQLite store."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.replay import replay
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store


@pytest.fixture
def spool(work_dir: Path) -> Spool:
    spool = Spool(work_dir / 'mlflow_spool' / 'a.jsonl')
    spool.claim()
    run = {
        'key': 'k', 'session': 's', 'run_id': None, 'continues': False,
        'experiment': 'e', 'name': 'n',
        'start_ms': 5, 'tags': {}, 'parent': None,
    }  # fmt: skip
    header = {
        'kind': 'open', 'mode': 'train', 'run': run,
        'artifact_location': (work_dir / 'mlartifacts').as_uri(),
        'tracking_uri': f'sqlite:///{work_dir / "mlflow.db"}',
    }  # fmt: skip
    spool.append([header])
    return spool


def test_one_refused_point_does_not_take_others_with_it(spool: Spool, logged: Any) -> None:
    points = [records.metrics({'train/x': float(i)}, i) for i in range(50)]
    points[33]['time_ms'] = -1  # MLflow refuses times before 1970
    spool.append([*points, records.close('FINISHED')])
    Shipper(spool).ship()

    assert logged.steps('train/x') == [i for i in range(50) if i != 33]
    assert logged.only_run().data.tags['mmext.rejected'] == '1'
    (rejected,) = spool.path.with_suffix('.rejected.jsonl').read_text().splitlines()
    assert json.loads(rejected)['step'] == 33


def test_more_points_than_one_request_takes(spool: Spool, logged: Any) -> None:
    wide = {f'm{i}': float(i) for i in range(2500)}
    spool.append([records.metrics(wide, 1), records.close('FINISHED')])
    Shipper(spool).ship()
    assert logged.only_run().data.metrics == wide


def test_sending_again_changes_nothing(spool: Spool, work_dir: Path, logged: Any) -> None:
    picture = work_dir / 'picture.png'
    picture.write_bytes(b'png')
    nan = float('nan')
    spool.append(
        [
            records.params({'a': '1'}),
            records.metrics({'train/x': 1.0, 'train/nan': nan}, 1, once=True),
            records.table(['a'], [[1]], 'tables/t.json'),
            records.file(picture, 'images/picture.png'),
            records.dataset('train', 'd', 'digest', 'here', {'num_samples': 3}),
            records.close('FAILED'),
        ]
    )
    for _ in range(2):
        Shipper(spool).ship()
        spool.save_state({})

    run = logged.only_run()
    assert run.info.status == 'FAILED'
    assert logged.steps('train/x') == logged.steps('train/nan') == [1]
    assert logged.artifacts() == ['images/picture.png', 'tables/t.json']
    assert len(run.inputs.dataset_inputs) == 1
    assert json.loads(run.data.tags['mlflow.loggedArtifacts']) == [
        {'path': 'tables/t.json', 'type': 'table'}
    ]
    assert picture.exists(), "a file that is not the spool's own stays"


def test_a_run_deleted_meanwhile_does_not_stop_the_rest(spool: Spool, logged: Any) -> None:
    shipper = Shipper(spool)
    shipper.ship()
    logged.client.delete_run(logged.only_run().info.run_id)
    spool.append([records.metrics({'x': 1.0}, 1), records.close('FINISHED')])
    shipper.ship()
    assert shipper.offset == spool.path.stat().st_size


def test_a_deleted_experiment_is_restored(spool: Spool, logged: Any) -> None:
    experiment = logged.client.create_experiment('e')
    logged.client.delete_experiment(experiment)
    Shipper(spool).ship()
    assert logged.only_run().info.experiment_id == experiment


def test_missing_files_are_noted_and_passed_over(spool: Spool, logged: Any) -> None:
    spool.append([records.file('/nowhere/x', 'x'), records.close('FINISHED')])
    Shipper(spool).ship()
    assert logged.only_run().info.status == 'FINISHED'
    assert logged.only_run().data.tags['mmext.rejected'] == '1'


def test_an_outage_keeps_the_place(spool: Spool) -> None:
    shipper = Shipper(spool, store=Store('http://127.0.0.1:9', None))
    with pytest.raises(Outage):
        shipper.ship()
    assert shipper.offset == 0 and not shipper.done


def test_a_run_that_cannot_be_opened_loses_nothing(spool: Spool, logged: Any) -> None:
    """All that follows would be refused one by one, and be counted as sent."""
    (header, _), *_ = spool.read(0)
    header['run']['experiment'] = 'e' * 600  # MLflow takes 500
    spool.path.write_text(json.dumps(header) + '\n')
    spool.append([records.metrics({'x': 1.0}, 1), records.close('FINISHED')])
    spool.release()

    shipper = Shipper(spool)
    with pytest.raises(Refusal, match='500'):
        shipper.ship()
    assert shipper.offset == 0 and not shipper.done
    (result,) = replay(spool.path.parent)
    assert (result.outcome, result.run_id) == ('kept', None) and '500' in result.detail

    header['run']['experiment'] = 'e'
    lines = spool.path.read_text().splitlines(keepends=True)
    spool.path.write_text(json.dumps(header) + '\n' + ''.join(lines[1:]))
    assert [r.outcome for r in replay(spool.path.parent)] == ['sent']
    assert logged.steps('x') == [1]


def test_a_work_folder_that_was_moved_is_sent_whole(spool: Spool, work_dir: Path) -> None:
    """As from a cluster without a network; the store is named, and has a place for files."""
    own = [spool.store_file(name.encode(), name) for name in ('a.png', 'b.pth', 'weights.pth')]
    model = records.model(
        own[2], 'model = {}', name='Net', digest='d', classes=['x'], requirements=['numpy'],
        example=None, step=1, registered_name=None, alias=None,
    )  # fmt: skip
    spool.append(
        [
            records.file(own[0], 'images/picture.png'),
            records.checkpoint('best', own[1], 'b.pth', step=1),
            model,
            records.close('FINISHED'),
        ]
    )
    spool.release()
    moved = work_dir.rename(work_dir.with_name('moved'))
    uri = f'sqlite:///{moved / "mlflow.db"}'

    assert [r.outcome for r in replay(moved, uri)] == ['sent']

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name('e').experiment_id])
    assert 'mmext.rejected' not in run.data.tags and 'mmext.model' in run.data.tags
    files = moved / 'mlartifacts' / run.info.run_id / 'artifacts'
    assert (files / 'images/picture.png').read_bytes() == b'a.png'
    assert (files / 'checkpoints/b.pth').read_bytes() == b'b.pth'
    assert not list((moved / 'mlflow_spool').glob('*.files'))
    assert not work_dir.exists()


def test_another_store_keeps_files_in_its_own_place(
    spool: Spool, work_dir: Path, tmp_path: Path, reader: Any
) -> None:
    """Not where the first one would have: a server's files would stay on this machine."""
    spool.append([records.text('hello', 'note.txt'), records.close('FINISHED')])
    spool.release()
    other = tmp_path / 'other'
    other.mkdir()
    shutil.copy(work_dir / 'mlflow.db', other)

    list(replay(work_dir, f'sqlite:///{other / "mlflow.db"}'))

    run = reader(f'sqlite:///{other / "mlflow.db"}').only_run()
    assert run.info.artifact_uri.startswith((other / 'mlartifacts').as_uri())
