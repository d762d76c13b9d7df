"""Stops a run whose model, weights and data sets disagree on the classes.

Without it, a wrong count shows as an index error deep inside a loss, or not at all, and an order
of classes that changed between training and evaluation only as a low score.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmext.registry import HOOKS


@HOOKS.register_module()
class PanopticClassCheckHook(Hook):
    """Compares the classes of every data set with the model and with what it was trained on.

    The number of things and stuff must be the model's. A data set to evaluate must have the
    classes of the training set, or of the checkpoint that is tested, in their order.

    Raises:
        ValueError: naming the data set, both sides and what to set.
    """

    def __init__(self) -> None:
        self._learned: Sequence[str] | None = None
        self._learned_from = ''

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Take the classes that mmengine has stored with the weights, if it has."""
        meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        self._learned, self._learned_from = meta.get('classes'), 'the checkpoint'

    def before_train(self, runner: Runner) -> None:
        """Check the training data set."""
        dataset = runner.train_dataloader.dataset
        _check_counts(runner, dataset)
        self._learned, self._learned_from = dataset.metainfo['classes'], 'the training set'

    def before_val(self, runner: Runner) -> None:
        """Check the validation data set."""
        self._check(runner, runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Check the test data set."""
        self._check(runner, runner.test_dataloader.dataset)

    def _check(self, runner: Runner, dataset: BaseDataset) -> None:
        _check_counts(runner, dataset)
        classes = dataset.metainfo['classes']
        for label, (name, learned) in enumerate(zip_longest(classes, self._learned or classes)):
            if name != learned:
                raise ValueError(
                    f'{type(dataset).__name__} to evaluate: class {label} is {name!r}, that of '
                    f'{self._learned_from} {learned!r}. Set metainfo=dict(classes='
                    f'{tuple(self._learned or ())}) in the config of the data set.'
                )


def _check_counts(runner: Runner, dataset: BaseDataset) -> None:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    meta = dataset.metainfo
    things, stuff = len(meta['thing_classes']), len(meta['stuff_classes'])
    if (model.num_things_classes, model.num_stuff_classes) != (things, stuff):
        raise ValueError(
            f'{type(dataset).__name__} has {things} thing and {stuff} stuff classes, but '
            f'{type(model).__name__} was built for {model.num_things_classes} and '
            f'{model.num_stuff_classes}. Set model=dict(num_things_classes={things}, '
            f'num_stuff_classes={stuff}) in the config.'
        )
