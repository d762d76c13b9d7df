from pathlib import Path

import pytest

from mmext.hooks.mlflow_logging.checkpoints import CheckpointPolicy


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes(b'weights')
    return path


def test_a_deleted_checkpoint_is_still_held(tmp_path: Path, saved: Path) -> None:
    policy = CheckpointPolicy('last', False, tmp_path / 'spool')
    (record,) = policy.update({'last_ckpt': str(saved)}, 3)
    saved.unlink()
    assert Path(record['path']).read_bytes() == b'weights'
    assert record['name'] == 'epoch_1.pth' and record['facts'] == {'step': '3'}


def test_each_file_is_announced_once(tmp_path: Path, saved: Path) -> None:
    policy = CheckpointPolicy('best', True, tmp_path / 'spool')
    announced = {'best_ckpt': str(saved), 'last_ckpt': str(saved), 'best_score': 0.5}
    (record,) = policy.update(announced, 3)
    assert record['role'] == 'best' and record['facts'] == {'step': '3', 'score': '0.5'}
    assert list(policy.update(announced, 4)) == []


def test_best_falls_back_to_last(tmp_path: Path, saved: Path) -> None:
    policy = CheckpointPolicy('best', False, tmp_path / 'spool')
    (record,) = policy.update({'last_ckpt': str(saved)}, 3)
    assert record['role'] == 'last'


def test_what_cannot_be_linked_is_named_as_it_is(tmp_path: Path) -> None:
    policy = CheckpointPolicy('last', False, tmp_path / 'spool')
    (record,) = policy.update({'last_ckpt': 's3://bucket/epoch_1.pth'}, 3)
    assert record['name'] == 'epoch_1.pth' and not Path(record['path']).exists()
    assert list(policy.update({}, 4)) == []
