"""Where the names of the classes come from."""

import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from mmext.errors import InputError
from mmext.inference.prediction import class_table

CATEGORIES = [
    {'id': 9, 'name': 'sky', 'isthing': 0},
    {'id': 4, 'name': 'cat', 'isthing': 1},
    {'id': 2, 'name': 'sea', 'isthing': 0},
]
TABLE = ('cat', 'sea', 'sky')


def config(folder: Path, **metainfo: Any) -> Config:
    """A panoptic config for one thing class and two of stuff."""
    dataset = dict(
        type='mmext.CocoPanopticDataset',
        data_root=str(folder),
        ann_file='panoptic.json',
        metainfo=metainfo,
    )
    return Config(dict(model=dict(num_things_classes=1), test_dataloader=dict(dataset=dataset)))


@pytest.mark.parametrize(
    'metainfo',
    [
        dict(classes='auto'),
        dict(classes=TABLE),
        dict(thing_classes=TABLE[:1], stuff_classes=TABLE[1:]),
    ],
)
def test_classes_of_the_config(tmp_path: Path, metainfo: dict[str, Any]) -> None:
    (tmp_path / 'panoptic.json').write_text(json.dumps(dict(categories=CATEGORIES)))
    table = class_table(config(tmp_path, **metainfo), {})
    assert (table['classes'], table['thing_classes']) == (TABLE, TABLE[:1])


def test_the_checkpoint_comes_first_and_the_class_of_the_data_set_last(tmp_path: Path) -> None:
    stored = dict(dataset_meta=dict(CLASSES=('dog', 'sea')))
    table = class_table(config(tmp_path, classes='auto'), stored)
    assert (table['classes'], table['thing_classes']) == (('dog', 'sea'), ('dog',))
    assert len(class_table(config(tmp_path), {})['classes']) == 133


def test_a_set_of_points_brings_its_class() -> None:
    dataset = dict(type='mmext.CocoPoseDataset', ann_file='a.json', landmark_set='face_5')
    dataset['metainfo'] = dict(palette=[(1, 2, 3)])
    table = class_table(Config(dict(model={}, test_dataloader=dict(dataset=dataset))), {})
    assert table['classes'] == ('face',) and table['palette'] == [(1, 2, 3)]
    assert table['keypoints'][2] == 'nose'


def test_classes_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"classes='auto', and there is no .*panoptic\.json"):
        class_table(config(tmp_path, classes='auto'), {})
    with pytest.raises(InputError, match='neither checkpoint nor config'):
        class_table(Config(dict(model={})), {})


@pytest.mark.parametrize(
    ('classes', 'words'),
    [
        (('a', 'b'), r'names 2 classes, and bbox_head tells 3 apart'),
        ('abc', "no list of names, but 'abc'"),
        ((1, 2, 3), 'no list of names'),
        ({'a': 1}, 'no list of names'),
    ],
)
def test_classes_that_are_not_the_models(classes: Any, words: str) -> None:
    model = Config(dict(model=dict(bbox_head=dict(type='RetinaHead', num_classes=3))))
    assert class_table(model, dict(dataset_meta=dict(classes=('a', 'b', 'c'))))
    with pytest.raises(InputError, match=words):
        class_table(model, dict(dataset_meta=dict(classes=classes)))
