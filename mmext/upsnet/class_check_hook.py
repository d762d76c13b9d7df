"""Stops a run whose panoptic model and data set disagree on the number of classes.

Without it, a wrong count shows as an index error deep inside a loss, or not at all.
"""

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmext.registry import HOOKS


@HOOKS.register_module()
class PanopticClassCheckHook(Hook):
    """Compares ``thing_classes`` and ``stuff_classes`` of every data set with the model.

    Raises:
        ValueError: naming the data set, both counts and the two config keys to set.
    """

    def before_train(self, runner: Runner) -> None:
        """Check the training data set."""
        _check(runner, runner.train_dataloader.dataset)

    def before_val(self, runner: Runner) -> None:
        """Check the validation data set."""
        _check(runner, runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Check the test data set."""
        _check(runner, runner.test_dataloader.dataset)


def _check(runner: Runner, dataset: BaseDataset) -> None:
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
