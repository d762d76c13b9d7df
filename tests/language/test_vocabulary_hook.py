"""A real training with words: what it refuses, what its checkpoint knows, and other words."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_words import tiny_config

from mmext.configuration import rebase_data_root
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError
from mmext.language.table import TextTable
from mmext.language.vocabulary_hook import replace_vocabulary, why_not_replaceable
from mmext.registry import MODELS

CLASSES = ('ball', 'crate', 'tree', 'mushroom', 'fish')
LOADER = dict(num_workers=0, persistent_workers=False, batch_size=2)


def config(tmp_path: Path, **model: object) -> Config:
    made = tiny_config()
    write_panoptic_dataset(tmp_path / 'data', num_train=4, num_val=1, image_size=(64, 64))
    rebase_data_root(made, f'{tmp_path}/data/')
    made.merge_from_dict(
        {
            'train_dataloader': LOADER,
            'train_cfg.max_iters': 1,
            'default_hooks.checkpoint.interval': 1,
            'work_dir': str(tmp_path / 'work'),
            'log_level': 'ERROR',
            **model,
        }
    )
    for part in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg'):
        made.pop(part, None)
    made.pop('test_evaluator', None)
    made.default_hooks.pop('mlflow')
    return made


def test_a_checkpoint_knows_its_words(tmp_path: Path) -> None:
    runner = Runner.from_cfg(config(tmp_path))
    runner.train()
    stored = torch.load(tmp_path / 'work' / 'iter_1.pth', weights_only=False)['meta']['vocabulary']
    assert stored['classes'] == list(CLASSES) == stored['words']
    classifier = runner.model.roi_head.bbox_head.fc_cls
    assert stored['sha256'] == classifier.text_table().digest
    replace_vocabulary(
        runner.model, classifier.text_table().merged({'toy': ['ball'], 'wood': CLASSES[1:3]})
    )
    assert runner.model.roi_head.bbox_head.num_classes == 2
    assert classifier(torch.zeros(3, 16)).shape == (3, 3)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'model.roi_head.bbox_head.cls_predictor_cfg.words': CLASSES[::-1]},
            'are fish, mushroom, tree, crate, ball; the training set has, in this order, ball',
        ),
        ({'model.roi_head.bbox_head.reg_class_agnostic': False}, 'reg_class_agnostic=True before'),
        ({'model.roi_head.mask_head.class_agnostic': False}, ' class_agnostic=True before'),
    ],
)
def test_what_does_not_fit_is_one_line_before_the_first_step(
    tmp_path: Path, change: dict, message: str
) -> None:
    runner = Runner.from_cfg(config(tmp_path, **change))
    with pytest.raises(InputError, match=message):
        runner.train()
    assert runner.iter == 0


def test_other_words_of_the_same_number_fit_any_detector() -> None:
    init_default_scope('mmdet')
    made = tiny_config().model
    made.roi_head.bbox_head.reg_class_agnostic = False
    model = MODELS.build(made)
    assert 'bbox_head' in str(why_not_replaceable(model))
    five = TextTable(tuple('abcde'), torch.randn(5, 8).numpy())
    replace_vocabulary(model, five)
    assert model.roi_head.bbox_head.fc_cls.classes == tuple('abcde')
    with pytest.raises(InputError, match='cannot be replaced'):
        replace_vocabulary(model, five.of(['a', 'b']))
    with pytest.raises(InputError, match=r'no mmext\.EmbeddingClassifier'):
        replace_vocabulary(torch.nn.Linear(1, 1), five)
