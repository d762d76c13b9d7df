"""Completion, as a real bash does it."""

import argparse
import shlex
import subprocess
from pathlib import Path

import pytest

from mmext.__main__ import find_tool
from mmext.cli.completion import Words, bash_script, words_of

WORDS = {
    'import': Words(('--help', '--out', '--out-of'), ('yolo', 'voc')),
    'infer': Words(('--help', '--checkpoint'), ()),
}


def completed(folder: Path, *typed: str) -> set[str]:
    """What bash offers for the last word."""
    script = bash_script(WORDS)
    words = ' '.join(map(shlex.quote, typed))
    ask = f'COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _mmext; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ['bash', '-u', '-c', f'{script}\n{ask}'], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ('typed', 'offered'),
    [
        (['mmext', ''], {'import', 'infer'}),
        (['mmext', 'inf'], {'infer'}),
        (['mmext', 'import', '--ou'], {'--out', '--out-of'}),
        (['mmext', 'import', 'y'], {'yolo'}),
        (['mmext', 'import', 'yolo', 'y'], set()),
        (['mmext', 'infer', 'st'], {'street.jpg'}),
        (['mmext', 'mine.py', '--x'], set()),
    ],
)
def test_what_is_offered(typed: list[str], offered: set[str], tmp_path: Path) -> None:
    (tmp_path / 'street.jpg').touch()
    assert completed(tmp_path, *typed) == offered


def test_words_come_from_the_parsers() -> None:
    before = argparse.ArgumentParser.parse_args
    found = words_of(find_tool('import'))
    assert {'--out', '--val-share'} <= {*found.options} and 'cvat' in found.choices
    assert {'coco', 'show'} <= {*words_of(find_tool('benchmark')).choices}
    train = words_of(find_tool('train'))
    assert '--resume' in train.options and train.choices == ()
    assert argparse.ArgumentParser.parse_args is before
