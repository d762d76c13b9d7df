"""The way from spool to store, on a real SQLite store."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmext.hooks.mlflow_logging import records
from mmext.hooks.mlflow_logging.shipper import Shipper
from mmext.hooks.mlflow_logging.spool import Spool
from mmext.hooks.mlflow_logging.tracking import Outage


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
    shipper = Shipper(spool, tracking_uri='http://127.0.0.1:9')
    with pytest.raises(Outage):
        shipper.ship()
    assert shipper.offset == 0 and not shipper.done
