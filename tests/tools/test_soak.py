"""The judge of `tools/soak.py`: that nothing can be lost or wrong without being counted."""

import copy
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mmext.errors import run_tool

sys.path.append(str(Path(__file__).parents[2] / 'tools'))
from soaking.accounts import FAULTS, Account, Finding
from soaking.spoiling import spoil_bytes, spoil_json, spoil_tree
from soaking.subject import compare

NAN = float('nan')
RIGHT = {'train/loss': [(1, 0.5), (2, 0.25)], 'val/ap': [(2, NAN)]}


@pytest.mark.parametrize(
    ('found', 'expected'),
    [
        (RIGHT, {}),
        ({**RIGHT, 'train/loss': [(2, 0.25), (1, 0.5)]}, {}),
        ({'train/loss': RIGHT['train/loss']}, {'lost': ['val/ap at 2']}),
        ({**RIGHT, 'train/loss': [(2, 0.25)]}, {'lost': ['train/loss at 1']}),
        ({**RIGHT, 'val/ap': [(2, NAN), (2, NAN)]}, {'duplicated': ['val/ap at 2']}),
        ({**RIGHT, 'val/ap': [(2, 0.0)]}, {'wrong': ['val/ap at 2 is 0.0, not nan']}),
        (
            {**RIGHT, 'train/loss': [(1, 0.5), (2, 0.25), (3, 0.1)]},
            {'wrong': ['train/loss at 3 is 0.1, not None']},
        ),
        ({**RIGHT, 'new': [(1, 1.0)]}, {'wrong': ['new at 1 is 1.0, not None']}),
    ],
)
def test_points_are_compared(
    found: dict[str, list[tuple[int, float]]], expected: dict[str, list[str]]
) -> None:
    assert {name: texts for name, texts in compare(found, RIGHT).items() if texts} == expected


def test_faults_add_up() -> None:
    account, finding = Account(), Finding()
    account.add('kills', finding)
    assert finding.clean and account.num_faults == 0
    finding.add({'lost': ['a', 'b'], 'hung': ['c']})
    account.add('kills', finding)
    account.add('values', finding)
    assert not finding.clean and account.num_faults == 6
    head, kills, values, total = (line.split() for line in account.table().splitlines())
    assert head == ['trials', *FAULTS]
    assert kills == ['kills', '2', '2', '0', '0', '1', '0']
    assert values == ['values', '1', '2', '0', '0', '1', '0']
    assert total == ['all', '3', '4', '0', '0', '2', '0']


def test_one_place_of_a_tree_is_spoiled() -> None:
    tree = {'a': [1, {'b': 'x'}], 'c': {'d': None}}
    before = copy.deepcopy(tree)
    spoiled = [spoil_tree(tree, random.Random(number)) for number in range(200)]
    assert tree == before
    assert spoil_tree(tree, random.Random(3)) == spoiled[3]
    assert len({repr(found) for found, _ in spoiled}) > 50


def test_files_are_spoiled(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    spoiled = {spoil_bytes(content, random.Random(number)) for number in range(100)}
    assert len(spoiled) > 50 and content not in spoiled
    file = tmp_path / 'x.json'
    for number in range(50):
        file.write_text(json.dumps({'images': [{'id': 1}], 'n': [2]}))
        assert spoil_json(file, random.Random(number)).startswith('x.json: ')


def test_a_kind_that_is_none_is_one_line(
    tool: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tool(tool('soak').main, ['--only', 'earthquakes']) == 2
    assert '--only: no such kind: earthquakes; there are kills,' in capsys.readouterr().err
