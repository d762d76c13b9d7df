"""A real validation of a detector whose classes are words: values, and sheets of what is found."""

from pathlib import Path

import cv2
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_words import CLASSES, tiny_config

from mmext.configuration import load_config, rebase_data_root
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError
from mmext.registry import HOOKS

SEARCH = dict(type='mmext.SearchSheetHook', texts=['ball', 'a tree', 'crate'], top=4, min_score=0.0)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_panoptic_dataset(tmp_path / 'data', num_train=1, num_val=3, image_size=(64, 64))
    made = tiny_config()
    rebase_data_root(made, f'{tmp_path}/data/')
    shipped = load_config('mmext::language_demo.py')
    steps = [step.to_dict() for step in shipped.test_pipeline]
    steps[1] = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
    made.val_dataloader.dataset.pipeline = steps
    made.val_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    groups = dict(shipped.val_evaluator[-1].groups, color=CLASSES)  # no color is a word of it
    made.val_evaluator = dict(type='mmext.RegionSearchMetric', groups=groups)
    made.val_evaluator.groups.pop('ground')
    for key in list(made):
        if key.startswith(('train', 'test', 'optim', 'param')):
            made.pop(key)
    made.default_hooks.pop('mlflow')
    made.merge_from_dict(dict(work_dir=str(tmp_path / 'work'), log_level='ERROR'))
    made.default_hooks.search = dict(SEARCH)
    return made


def test_values_and_sheets(config: Config) -> None:
    runner = Runner.from_cfg(config)
    values = runner.val()
    assert {'search/found', 'search/phrase_box'} <= values.keys()
    sheets = sorted(Path(runner.log_dir, 'found').glob('*.jpg'))
    assert [sheet.name for sheet in sheets] == [
        'val_000000_1_ball.jpg',
        'val_000000_2_a_tree.jpg',
        'val_000000_3_crate.jpg',
    ]
    picture = cv2.imread(str(sheets[0]))
    assert picture.shape[1] > 4 * 112 and picture.std() > 20


def test_what_cannot_be_drawn(config: Config) -> None:
    for wrong in (dict(texts=[]), dict(texts='ball'), dict(texts=['ball'], top=0)):
        with pytest.raises(InputError, match='expected a list of phrases'):
            HOOKS.build(dict(SEARCH, **wrong))
    runner = Runner.from_cfg(config)
    with pytest.raises(InputError, match='no vector for car'):
        HOOKS.build(dict(SEARCH, texts=['a car'])).before_train(runner)
