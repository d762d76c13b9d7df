"""The description of a run: what it says, and that people may write in it too."""

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmext.hooks.mlflow_logging.content.model_card import model_card
from mmext.hooks.mlflow_logging.content.run_note import ResultsNote, about, cell, command
from mmext.hooks.mlflow_logging.delivery.notes import MAX_LENGTH, NOTE_TAG, merged

CONFIG = dict(
    model=dict(type='mmext.UPSNet', backbone=dict(type='ResNet', depth=50)),
    train_dataloader=dict(
        batch_size=8,
        dataset=dict(type='RepeatDataset', dataset=dict(data_root='data', ann_file='a|b.json')),
    ),
    val_dataloader=dict(
        dataset=dict(datasets=[dict(ann_file='v1.json'), dict(ann_file='v2.json')])
    ),
    train_cfg=dict(max_iters=700),
    optim_wrapper=dict(optimizer=dict(type='AdamW', lr=2e-3)),
)


def test_sections_take_the_place_of_their_own_kind() -> None:
    text = merged('By hand.', {'about': 'one', 'val': 'AP 1'})
    text += '\n\nBelow.'
    text = merged(text, {'val': 'AP 2'})
    assert text.startswith('By hand.') and text.endswith('Below.')
    assert 'AP 1' not in text and text.index('one') < text.index('AP 2') < text.index('Below.')
    assert merged(text, {'about': 'two'}, once=True) == text
    assert 'new' in merged(text, {'test': 'new'}, once=True)


def test_what_is_too_long_changes_nothing() -> None:
    present = 'x' * (MAX_LENGTH - 10)
    assert merged(present, {'val': 'y' * 100}) == present


@given(st.text(max_size=200), st.text(max_size=60))
def test_any_text_of_people_stays(present: str, content: str) -> None:
    text = merged(present, {'val': content})
    assert text.startswith(present.rstrip()) and merged(text, {'val': content}) == text


def test_what_a_run_is_made_from() -> None:
    text = about(CONFIG)['sections']['about']
    assert '| model | mmext.UPSNet, ResNet-50 |' in text
    assert '| train | data/a\\|b.json |' in text and '| val | v1.json, v2.json |' in text
    assert '| schedule | 700 iterations |' in text and '| optimizer | AdamW, lr 0.002 |' in text
    assert '| batch | 8 a process |' in text


@pytest.mark.parametrize('config', [{}, dict(model=None, train_dataloader=[1], train_cfg='x')])
def test_configs_of_any_form_are_described(config: dict[str, Any]) -> None:
    assert 'Started with' in about(config)['sections']['about']


def test_results_of_the_last_four_evaluations() -> None:
    note = ResultsNote('val')
    for step in range(1000, 7000, 1000):
        late = step / 1e4 if step > 5000 else float('nan')
        record = note.add(step, {'coco/AP': step / 1e4, 'late_one': late, 'never': float('nan')})
    lines = record['sections']['val'].splitlines()
    assert lines[2] == '| after iterations | 3,000 | 4,000 | 5,000 | 6,000 |'
    assert '| coco/AP | 0.3 | 0.4 | 0.5 | 0.6 |' in lines
    assert '| late\\_one | nan | nan | nan | 0.6 |' in lines
    assert 'never' not in record['sections']['val']
    many = ResultsNote('test').add(1, {f'm{i}': 1.0 for i in range(30)})['sections']['test']
    assert '14 more are among the metrics.' in many and many.count('\n| m') == 16


def test_commands_can_be_typed() -> None:
    assert command(['/x/.mim/tools/train.py', 'a b.py']) == "mmext train 'a b.py'"
    assert shlex.split(command(['mine.py', '--x', '1;2'])) == ['python', 'mine.py', '--x', '1;2']
    assert command(['mmext train', 'mine.py', '--resume']) == 'mmext train mine.py --resume'
    assert command([]) == "python ''"


def test_cells_stay_cells() -> None:
    assert cell('a|b\nc *d*') == 'a\\|b c \\*d\\*'
    assert len(cell('x' * 1000)) == 160


def test_a_card_says_what_how_well_and_how_to() -> None:
    card = model_card(CONFIG, ['cat', 'dog'], 1200, {'coco/AP': 0.25})
    assert card.startswith('# UPSNet\n') and '2 classes, after 1,200 training' in card
    assert '`cat`, `dog`.' in card and '| coco/AP | 0.25 |' in card
    assert 'not evaluated' in model_card(CONFIG, ['cat'], 0, {})
    assert ' and 3 more.' in model_card(CONFIG, [str(i) for i in range(103)], 0, {})


def test_a_real_run_is_described(
    tiny: ModuleType, work_dir: Path, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, 'argv', ['/x/tools/train.py', 'line.py', '--token', 'hunter2-hunter2'])
    tiny.make_runner(work_dir).train()
    run = logged.only_run()
    text = run.data.tags[NOTE_TAG]
    assert 'mmext train line.py' in text and 'hunter2' not in text
    (row,) = re.findall(r'\| mae \| (\S+) \| (\S+) \|', text)
    assert [float(value) for value in row] == pytest.approx(
        [point.value for point in logged.history('val/mae')], rel=1e-3
    )
    logged.client.set_tag(run.info.run_id, NOTE_TAG, f'Remember this one.\n\n{text}')
    resumed = tiny.make_runner(work_dir, epochs=3, resume=True)
    resumed.train()
    renewed = logged.only_run().data.tags[NOTE_TAG]
    assert renewed.startswith('Remember this one.') and renewed.count('Started with') == 1
    assert '| after iterations | 15 |' in renewed
