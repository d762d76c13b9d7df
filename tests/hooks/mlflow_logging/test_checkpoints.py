import os
from pathlib import Path

import pytest
import torch

from mmext.hooks.mlflow_logging.content.checkpoints import CheckpointPolicy


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


def test_what_is_written_over_is_kept_apart(
    tmp_path: Path, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In place, as ``torch.save`` does: by another training, and by ours under one name."""
    policy = CheckpointPolicy('last', False, tmp_path / 'spool', key='ours')
    (first,) = policy.update({'last_ckpt': str(saved)}, 3)
    saved.write_bytes(b'of another training')
    assert Path(first['path']).read_bytes() == b'weights'
    assert policy.newest == (first['path'], 3)
    os.utime(saved, ns=(1, 1))
    (second,) = policy.update({'last_ckpt': str(Path(saved))}, 4)
    assert Path(second['path']).read_bytes() == b'of another training'


@pytest.mark.parametrize(('key', 'is_sent'), [('ours', True), ('theirs', False), (None, True)])
def test_a_checkpoint_of_another_run_is_not_sent(
    key: str | None, is_sent: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    info = {'mmext_mlflow_run_key': key} if key else {}
    path = tmp_path / 'epoch_1.pth'
    torch.save({'message_hub': {'runtime_info': info}, 'x': torch.zeros(3)}, path)
    policy = CheckpointPolicy('last', False, tmp_path / 'spool', key='ours')
    assert len(list(policy.update({'last_ckpt': str(path)}, 3))) == is_sent
    assert (policy.newest is not None) == is_sent
    assert ('another training' in caplog.text) != is_sent
    cut = tmp_path / 'epoch_2.pth'
    cut.write_bytes(path.read_bytes()[:200])
    assert list(policy.update({'last_ckpt': str(cut)}, 4)) == []


def test_a_name_becomes_a_part_of_an_address(tmp_path: Path) -> None:
    """A server would cut ``AR?50#1.pth`` after ``AR``."""
    path = tmp_path / 'best AR?50#1.pth'
    path.write_bytes(b'weights')
    for kind, field in (('last', 'name'), ('every', 'artifact')):
        record, *_ = CheckpointPolicy(kind, False, tmp_path / 's').update(
            {'last_ckpt': str(path)}, 3
        )
        assert record[field].removeprefix('checkpoints/') == 'best AR_u3f_50_u23_1.pth'
        assert Path(record['path']).read_bytes() == b'weights'


def test_files_of_sessions_before_keep_what_was_said_of_them(tmp_path: Path, saved: Path) -> None:
    announced = {'best_ckpt': str(saved), 'best_score': 0.5, 'last_ckpt': '/gone/epoch_0.pth'}
    policy = CheckpointPolicy('best', True, tmp_path / 'spool')
    (record,) = policy.update(announced, None)
    assert record['role'] == 'best' and record['facts'] == {}
    assert policy.newest == (record['path'], None)
    assert list(policy.update(announced, 9)) == []
    assert list(CheckpointPolicy('last', True, tmp_path / 'spool').update(announced, None)) == []
    assert list(CheckpointPolicy('every', True, tmp_path / 'spool').update(announced, None)) == []


def test_the_newest_is_known_whatever_is_sent(tmp_path: Path, saved: Path) -> None:
    announced = {'last_ckpt': str(saved)}
    for policy, keeps_best, newest in (
        ('none', False, (str(saved), 4)), ('every', False, (str(saved), 4)), ('last', True, None),
    ):  # fmt: skip
        policy_ = CheckpointPolicy(policy, keeps_best, tmp_path / 'spool')
        list(policy_.update(announced, 4))
        found = policy_.newest
        assert (found and (Path(found[0]).name, found[1])) == (newest and (saved.name, 4))


def test_large_files_are_told_of_once(
    tmp_path: Path, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with saved.open('r+b') as file:
        file.truncate(3_000_000_000)  # takes no room on the disk
    again = saved.with_name('epoch_2.pth')
    again.hardlink_to(saved)
    policy = CheckpointPolicy('every', False, tmp_path / 'spool')
    for step, path in enumerate((saved, again)):
        assert list(policy.update({'last_ckpt': str(path)}, step))
    (message,) = caplog.messages
    assert '3.0 GB, each of them' in message and "checkpoints='none'" in message
