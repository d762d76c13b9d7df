"""The check of classes in real runs of a model that learns nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from coco_panoptic_set import CATEGORIES, METAINFO, write_set
from mmengine.model import BaseModel
from mmengine.runner import Runner

CLASSES = METAINFO['classes']
SWAPPED = ['dog', 'cat', 'sea', 'sky']


class Idle(BaseModel):
    """A model for some numbers of classes."""

    def __init__(self, num_things_classes: int, num_stuff_classes: int) -> None:
        super().__init__()
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, mode: str, **batch: Any) -> Any:
        return {'loss': self.weight.sum()} if mode == 'loss' else [{}]


@pytest.fixture
def make_runner(tmp_path: Path) -> Callable[..., Runner]:
    """A runner whose data sets have the classes that are given."""
    config = write_set(tmp_path / 'data')

    def make(
        counts: tuple[int, int] = (2, 2),
        train: list[str] = CLASSES,
        evaluate: list[str] = CLASSES,
        load_from: Path | None = None,
    ) -> Runner:
        def loader(classes: list[str]) -> dict[str, Any]:
            dataset = dict(config, metainfo=dict(classes=classes), pipeline=[])
            return dict(
                dataset=dataset,
                sampler=dict(type='DefaultSampler', shuffle=False),
                batch_size=1,
                num_workers=0,
                collate_fn=dict(type='pseudo_collate'),
            )

        return Runner(
            Idle(*counts),
            work_dir=str(tmp_path / 'work'),
            train_dataloader=loader(train),
            val_dataloader=loader(evaluate),
            test_dataloader=loader(evaluate),
            train_cfg=dict(by_epoch=False, max_iters=1, val_interval=1),
            val_cfg={},
            test_cfg={},
            val_evaluator=[],
            test_evaluator=[],
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1),
                class_check=dict(type='mmext.PanopticClassCheckHook'),
            ),
            load_from=None if load_from is None else str(load_from),
            default_scope='mmdet',
            experiment_name=f'classes_{tmp_path.name}_{counts}_{train}_{evaluate}_{load_from}',
            log_level='ERROR',
        )

    return make


def test_counts_are_those_of_the_model(make_runner: Callable[..., Runner]) -> None:
    runner = make_runner((3, 1))
    for run in (runner.train, runner.val, runner.test):
        with pytest.raises(ValueError, match=r'2 thing and 2 stuff classes, but Idle .* 3'):
            run()


def test_the_classes_of_the_training_set_are_evaluated(make_runner: Callable[..., Runner]) -> None:
    make_runner().train()
    make_runner(evaluate=SWAPPED).val()  # alone there is nothing to compare with
    with pytest.raises(ValueError, match="class 0 is 'dog', that of the training set 'cat'"):
        make_runner(evaluate=SWAPPED).train()


def test_the_classes_of_the_checkpoint_are_evaluated(
    make_runner: Callable[..., Runner], tmp_path: Path
) -> None:
    make_runner().train()
    stored = tmp_path / 'work' / 'iter_1.pth'
    make_runner(load_from=stored).test()
    with pytest.raises(ValueError, match="class 0 is 'dog', that of the checkpoint 'cat'"):
        make_runner(evaluate=SWAPPED, load_from=stored).test()
    # to go on from the weights of other classes is no error
    make_runner(train=SWAPPED, evaluate=SWAPPED, load_from=stored).train()


def test_weights_without_classes_are_taken(
    make_runner: Callable[..., Runner], tmp_path: Path
) -> None:
    weights = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'weight': torch.tensor([3.0])}}, weights)
    runner = make_runner(load_from=weights)
    runner.test()
    assert runner.model.weight == 3


def test_the_set_has_the_classes_that_the_tests_assume() -> None:
    assert sorted(SWAPPED) == sorted(CLASSES) == sorted(c['name'] for c in CATEGORIES)
