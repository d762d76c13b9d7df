"""From which checkpoint a training goes on, whatever a kill has left."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.inference.checkpoints import check_finite, load_checkpoint
from mmext.inference.resuming import (
    beyond_the_end,
    checkpoint_to_resume,
    recorded_checkpoint,
)


def save(file: Path, **changes: Any) -> Path:
    """A checkpoint as of a training, with some entries changed or, with None, left out."""
    content: dict[str, Any] = dict(
        meta=dict(epoch=1, iter=10),
        message_hub=dict(log_scalars={}),
        state_dict=dict(w=torch.ones(500)),
        optimizer=dict(state={}),
    )
    content = {key: value for key, value in {**content, **changes}.items() if value is not None}
    torch.save(content, file)
    return file


def cut(file: Path) -> Path:
    """Leave the first half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


def flip(file: Path) -> Path:
    """Change one bit of a weight."""
    content = file.read_bytes()
    one = torch.ones(1).numpy().tobytes()
    assert one in content
    file.write_bytes(content.replace(one, b'\1' + one[1:], 1))
    return file


def record(folder: Path, text: str) -> None:
    """What mmengine says is the last checkpoint."""
    (folder / 'last_checkpoint').write_text(text)


def test_recorded_checkpoint(tmp_path: Path) -> None:
    assert recorded_checkpoint(str(tmp_path)) is None
    record(tmp_path, '/elsewhere/epoch_3.pth')
    assert recorded_checkpoint(str(tmp_path)) == Path('/elsewhere/epoch_3.pth')
    (tmp_path / 'epoch_3.pth').touch()
    assert recorded_checkpoint(str(tmp_path)) == tmp_path / 'epoch_3.pth'
    (tmp_path / 'other.pth').touch()
    record(tmp_path, str(tmp_path / 'other.pth'))
    assert recorded_checkpoint(str(tmp_path)) == tmp_path / 'other.pth'
    for text in ('', ' \n', 'a\0b'):
        record(tmp_path, text)
        assert recorded_checkpoint(str(tmp_path)) is None


def test_the_recorded_one_is_taken_without_a_word(tmp_path: Path) -> None:
    save(tmp_path / 'epoch_3.pth')
    last = save(tmp_path / 'epoch_2.pth')
    record(tmp_path, str(last))
    assert checkpoint_to_resume(str(tmp_path)) == (str(last), '')


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert checkpoint_to_resume(str(tmp_path)) == (None, '')
    assert checkpoint_to_resume(str(tmp_path / 'not_made_yet')) == (None, '')
    record(tmp_path, '')
    assert checkpoint_to_resume(str(tmp_path)) == (None, '')


@pytest.mark.parametrize('spoil', [cut, flip, Path.unlink, lambda file: file.write_bytes(b'')])
def test_goes_back_to_the_last_whole_one(spoil: Any, tmp_path: Path) -> None:
    """By number, not by name or time: 10 comes after 9, and copies have any time."""
    for number in (8, 9, 10, 11):
        save(tmp_path / f'iter_{number}.pth')
    os.utime(tmp_path / 'iter_8.pth')
    save(tmp_path / 'best_ap_iter_11.pth', optimizer=None)
    cut(tmp_path / 'iter_10.pth')
    spoil(tmp_path / 'iter_11.pth')
    record(tmp_path, str(tmp_path / 'iter_11.pth'))
    found, said = checkpoint_to_resume(str(tmp_path))
    assert found == str(tmp_path / 'iter_9.pth')
    assert f'{tmp_path}/iter_11.pth' in said and f'goes on from {found}' in said
    assert '\n' not in said


@pytest.mark.parametrize('text', [None, '', '/gone/epoch_7.pth', '.', '/'])
def test_a_record_that_misleads(text: str | None, tmp_path: Path) -> None:
    whole = save(tmp_path / 'epoch_2.pth')
    if text is not None:
        record(tmp_path, text)
    found, said = checkpoint_to_resume(str(tmp_path))
    assert found == str(whole) and 'goes on from' in said


def test_the_best_is_better_than_nothing(tmp_path: Path) -> None:
    best = save(tmp_path / 'best_ap_epoch_2.pth', optimizer=None)
    record(tmp_path, str(cut(save(tmp_path / 'epoch_3.pth'))))
    assert checkpoint_to_resume(str(tmp_path))[0] == str(best)


def test_nothing_whole_is_one_line(tmp_path: Path) -> None:
    record(tmp_path, str(cut(save(tmp_path / 'epoch_3.pth'))))
    (tmp_path / 'other.pth').write_bytes(b'x')
    with pytest.raises(InputError, match=r'epoch_3.pth cannot be resumed: .*; none beside it can'):
        checkpoint_to_resume(str(tmp_path))


def test_a_named_one_that_is_damaged_or_gone(tmp_path: Path) -> None:
    """An accident is mended; a name that never was is a mistake, and the user's to mend."""
    whole, damaged = save(tmp_path / 'epoch_1.pth'), flip(save(tmp_path / 'epoch_2.pth'))
    found, said = checkpoint_to_resume('/unused', str(damaged))
    assert found == str(whole) and 'bytes of the file have changed' in said
    with pytest.raises(InputError, match=r'not found: .*epoch_3.pth; .*epoch_1.pth is whole'):
        checkpoint_to_resume('/unused', str(tmp_path / 'epoch_3.pth'))


@pytest.mark.parametrize('changes', [dict(meta=None), dict(meta={}), dict(message_hub=None)])
def test_weights_alone_cannot_be_resumed(changes: dict[str, Any], tmp_path: Path) -> None:
    file = save(tmp_path / 'weights.pth', **changes)
    with pytest.raises(InputError, match=r'weights.pth cannot be resumed: it has no .*load_from'):
        checkpoint_to_resume(str(tmp_path), str(file))


NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize('value', [NAN, INF, -INF])
def test_values_that_are_not_finite(
    value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MMLogger._instance_dict.clear()  # older ones write where the output was
    state = {f'w{i}': torch.tensor([1.0, value if i < 4 else 0]) for i in range(6)}
    state['number'] = torch.tensor(3)
    file = save(tmp_path / 'x.pth', state_dict=state)
    checkpoint = load_checkpoint(str(file))
    text = r'x.pth holds NaN or infinite values: 4 of 6 tensors \(w0, w1, w2, ...\)'
    with pytest.raises(InputError, match=text):
        check_finite(checkpoint, str(file), resumes=True)
    check_finite(checkpoint, str(file), resumes=False)
    assert '4 of 6 tensors (w0, w1, w2, ...)' in ''.join(capsys.readouterr())


def test_the_state_of_the_optimizer_counts_for_a_resumed_training(tmp_path: Path) -> None:
    optimizer = dict(state={3: dict(exp_avg=torch.tensor([NAN]))})
    checkpoint = load_checkpoint(str(save(tmp_path / 'x.pth', optimizer=optimizer)))
    check_finite(checkpoint, 'x.pth', resumes=False)
    with pytest.raises(InputError, match=r'1 of 2 tensors \(optimizer.state.3.exp_avg\)'):
        check_finite(checkpoint, 'x.pth', resumes=True)


@pytest.mark.parametrize(
    'meta',
    [
        dict(epoch=1, iter=-3),
        dict(epoch='1', iter=10),
        dict(epoch=None, iter=1.5),
        dict(epoch=1, iter=10, seed='x'),
    ],
)
def test_steps_that_are_no_counts_cannot_be_resumed(meta: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'it has no meta\.(epoch|iter|seed)'):
        checkpoint_to_resume(str(tmp_path), str(save(tmp_path / 'x.pth', meta=meta)))


def test_what_has_trained_longer_than_the_config_is_said() -> None:
    checkpoint = dict(meta=dict(epoch=3, iter=30))
    for cfg, words in (
        (dict(max_epochs=3), ''),
        (dict(max_epochs=2), 'it has done 3 epochs, and the config ends at max_epochs=2'),
        (dict(max_iters=30, type='IterBasedTrainLoop'), ''),
        (dict(max_iters=29), 'it has done 30 iters, and the config ends at max_iters=29'),
    ):
        assert beyond_the_end(checkpoint, cfg) == words
