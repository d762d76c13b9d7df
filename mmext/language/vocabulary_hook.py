"""Which words a detector was trained with: looked at before a run, kept with its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.errors import InputError
from mmext.language.embedding_classifier import EmbeddingClassifier
from mmext.language.table import plain_name, read_table
from mmext.registry import HOOKS


@HOOKS.register_module()
class VocabularyHook(Hook):
    """Compares the classes of the words with those of the data, and stores the words.

    Metrics with ``words`` get them. A checkpoint's ``meta['vocabulary']`` has the words, the
    classes among them and the SHA-256 of their table: which vocabulary a prediction was made with.

    Args:
        replaceable: the vocabulary is to be replaced after the training: a detector whose boxes or
            masks know classes is refused before the first step.

    Raises:
        InputError: there is no such classifier, its classes are not those of the data, in their
            order, or ``replaceable`` cannot be kept.
    """

    def __init__(self, replaceable: bool = False) -> None:
        self.replaceable = replaceable

    def before_train(self, runner: Runner) -> None:
        """Look at model and training data."""
        found = _classifiers(runner.model)
        if not found:
            raise InputError('mmext.VocabularyHook: the model has no mmext.EmbeddingClassifier')
        data = runner.train_dataloader.dataset.metainfo
        classes = [plain_name(name) for name in data.get('thing_classes') or data['classes']]
        for name, classifier in found.items():
            own = [plain_name(word) for word in classifier.classes]
            if own != classes:
                raise InputError(
                    f'{name}: its words for the classes are {", ".join(own)}; the training set '
                    f'has, in this order, {", ".join(classes)}: set cls_predictor_cfg.classes so'
                )
        if self.replaceable and (reason := why_not_replaceable(runner.model)):
            raise InputError(reason)

    def before_val_epoch(self, runner: Runner) -> None:
        """Bring the words to metrics that need them."""
        self._bring(runner, runner.val_loop.evaluator)

    def before_test_epoch(self, runner: Runner) -> None:
        """Bring the words to metrics that need them."""
        self._bring(runner, runner.test_loop.evaluator)

    def _bring(self, runner: Runner, evaluator: Evaluator) -> None:
        tables = [m for m in runner.model.modules() if hasattr(m, 'text_table')]
        for metric in evaluator.metrics:
            if tables and hasattr(metric, 'words'):
                metric.words = tables[0].text_table()  # the RoI head comes before its classifier

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the words beside the weights."""
        for classifier in list(_classifiers(runner.model).values())[-1:]:
            table = classifier.text_table()
            checkpoint.setdefault('meta', {})['vocabulary'] = dict(
                words=list(table.names), classes=list(classifier.classes), sha256=table.digest
            )


def why_not_replaceable(model: Any) -> str | None:
    """Why another number of classes would not fit boxes and masks; None if it does."""
    for name, module in model.named_modules():
        if getattr(module, 'reg_class_agnostic', True) is False:
            return (
                f'{name}: its boxes are of classes, so that the vocabulary cannot be replaced; set '
                'reg_class_agnostic=True before the training'
            )
        if getattr(module, 'class_agnostic', True) is False and 'mask_head' in name:
            return _masks(name)
    return None


def _masks(name: str) -> str:
    return (
        f'{name}: its masks are of classes, so that the vocabulary cannot be replaced; set '
        'class_agnostic=True before the training'
    )


def replace_vocabulary(model: Any, table: Any, classes: Any = None) -> None:
    """Give a trained detector another vocabulary, in place.

    Args:
        model: with an :class:`.EmbeddingClassifier`.
        table: a :class:`.TextTable` of the same D.
        classes: its words that are classes; None: all.

    Raises:
        InputError: there is none, boxes or masks are of classes and their number would change, or
            D differs.
    """
    found = _classifiers(model)
    if not found:
        raise InputError(
            f'{type(model).__name__} has no mmext.EmbeddingClassifier: its classes are no words '
            'that others could replace'
        )
    count = len(classes or table.names)
    changes = any(len(classifier.classes) != count for classifier in found.values())
    if changes and (reason := why_not_replaceable(model)):
        raise InputError(reason)
    for classifier in found.values():
        classifier.replace(table, classes)
    for module in model.modules():
        if any(isinstance(part, EmbeddingClassifier) for part in module.children()):
            for name in ('num_classes', 'cls_out_channels'):  # the latter of one-stage heads
                if hasattr(module, name):
                    setattr(module, name, count)


def use_vocabulary(model: Any, path: str | Path, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Let a trained detector find the words of a file, in place.

    Args:
        model: with an :class:`.EmbeddingClassifier`.
        path: of a table, see :func:`.read_table`; all of its words are classes.
        meta: of the detector: ``classes``, and ``thing_classes`` of a panoptic one.

    Returns:
        ``meta`` with the words as classes; the names of stuff stay.

    Raises:
        InputError: as of :func:`replace_vocabulary`; or other things than a panoptic map can name.
    """
    table = read_table(path)
    things = tuple(meta.get('thing_classes') or meta['classes'])
    stuff = tuple(name for name in meta['classes'] if name not in things)
    if stuff and len(table.names) != len(things):
        raise InputError(
            f'{path}: {len(table.names)} words for the {len(things)} things of a panoptic '
            'detector, whose map cannot have another number; choose as many by '
            'mmext words --table FILE --names ... --out FILE.npz'
        )
    replace_vocabulary(model, table)
    changed = dict(meta, classes=(*table.names, *stuff), thing_classes=table.names)
    if len(table.names) != len(things):
        changed.pop('palette', None)
    return changed


def _classifiers(model: Any) -> dict[str, EmbeddingClassifier]:
    return {n: m for n, m in model.named_modules() if isinstance(m, EmbeddingClassifier)}
