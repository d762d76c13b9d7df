"""The command line in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmext.demo.__main__ import main


def test_command_writes_then_finds_the_set(tmp_path: Path) -> None:
    command = [sys.executable, '-m', 'mmext.demo', 'panoptic', '--out', str(tmp_path / 'set')]
    command += ['--train', '2', '--val', '1', '--size', '96x64']
    first = subprocess.run(command, capture_output=True, text=True, check=True, timeout=400)
    assert '2 + 1 pictures, written' in first.stdout
    assert len(list((tmp_path / 'set').rglob('*.jpg'))) == 3
    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=400)
    assert 'there already' in second.stdout


def test_figures_have_clips_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = ['--train', '1', '--val', '1', '--train-clips', '0', '--val-clips', '1']
    assert main(['figures', '--out', str(tmp_path / 'set'), '--size', '96', *numbers]) == 0
    assert '1 + 1 pictures, written' in capsys.readouterr().out
    assert len(list((tmp_path / 'set/val_clips').rglob('*.jpg'))) == 8
    assert not (tmp_path / 'set/train_clips').exists()
    numbers[-1] = '2'
    assert main(['figures', '--out', str(tmp_path / 'set'), '--size', '96', *numbers]) == 1
    assert 'num_val_clips 1 instead of 2' in capsys.readouterr().err


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'mine.txt').touch()
    assert main(['panoptic', '--out', str(tmp_path)]) == 1
    assert 'error: ' in capsys.readouterr().err
    assert main(['panoptic', '--out', str(tmp_path / 'mine.txt' / 'set')]) == 1  # below a file
    assert 'mine.txt' in capsys.readouterr().err
    assert main(['panoptic', '--out', str(tmp_path / 'set'), '--train', '0']) == 1
    assert 'num_train must be at least 1' in capsys.readouterr().err


def test_a_size_that_is_none_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        main(['panoptic', '--out', str(tmp_path / 'set'), '--size', 'big'])
    assert error.value.code == 2
    assert 'expected SIDE or WIDTHxHEIGHT, got big' in capsys.readouterr().err
