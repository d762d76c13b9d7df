"""Before a run: what its data sets hold, and whether data, model and weights name the same classes.

Without it a wrong count of classes shows as an index error inside a loss, or not at all; an order
that changed between training and evaluation as a low score; boxes of another form as a detector
that learns nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmext.errors import InputError
from mmext.pipelines.class_tables import difference
from mmext.pipelines.data_look import look_at_data
from mmext.pipelines.data_summary import some_names, summary_of
from mmext.registry import HOOKS

_COUNTED = ('bbox_head', 'mask_head')  # heads with one output for each class
_MAX_COUNTED = 200_000  # images of a data set that has no summary


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Says what the data sets of a run hold and stops the run if they do not fit.

    Before the first iteration of a training it looks at the training and the validation set,
    before an evaluation at the set to evaluate:

    - one line with images, objects and classes, see :class:`~.data_summary.DataSummary`;
    - some images are loaded with their annotations, see :func:`~.data_look.look_at_data`;
    - heads and data set must have as many classes;
    - a set to evaluate must have the classes of the training set, or of the checkpoint that is
      tested. Another order is mapped where the data set finds its labels by name;
    - metrics that read a file of their own look at it now.

    Raises:
        InputError: naming the data set, both sides and what to set.
    """

    def __init__(self) -> None:
        self._learned: Sequence[str] | None = None
        self._learned_from = ''
        self._looked: set[str] = set()

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Take the classes that mmengine has stored with the weights, if it has."""
        meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        self._learned, self._learned_from = meta.get('classes'), 'the checkpoint'

    def before_train(self, runner: Runner) -> None:
        """Look at the training and the validation set."""
        if not runner._resume:  # the weights of other classes are a good start
            self._learned = None
        self._look(runner, 'train', runner.train_loop)
        dataset = runner.train_dataloader.dataset
        self._learned, self._learned_from = dataset.metainfo.get('classes'), 'the training set'
        if runner._val_loop is not None:
            self._look(runner, 'val', runner.val_loop)

    def before_val(self, runner: Runner) -> None:
        """Look at the validation set."""
        self._look(runner, 'val', runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Look at the test set."""
        self._look(runner, 'test', runner.test_loop)

    def _look(self, runner: Runner, name: str, loop: Any) -> None:
        if name in self._looked:
            return
        self._looked.add(name)
        dataset = loop.dataloader.dataset
        _check_table(name, dataset)
        self._take_learned_classes(runner, name, dataset)
        for part in parts_of(dataset):
            runner.logger.info(_line(name, part))
            look_at_data(part, name)
        check_counts(_inner_model(runner.model), dataset)
        if name != 'train':
            # the classes may be in another order now
            loop.evaluator.dataset_meta = runner.visualizer.dataset_meta = dataset.metainfo
            check_evaluator(name, dataset, loop.evaluator.metrics)

    def _take_learned_classes(self, runner: Runner, name: str, dataset: Any) -> None:
        """Compare the classes with those that were learned; bring them into their order."""
        classes, learned = dataset.metainfo.get('classes'), self._learned
        if classes is None or learned is None:
            return
        conflict = class_conflict(name, dataset, learned, self._learned_from)
        if conflict is not None:
            raise InputError(conflict)
        if tuple(classes) == tuple(learned):
            return
        for part in parts_of(dataset):
            part.adopt_classes(learned)
        runner.logger.warning(
            f'{name}: its classes are not listed as those of {self._learned_from}; labels go by '
            f'name, as there: {some_names(tuple(learned))}'
        )


# its name until version 0.2
HOOKS.register_module(name='PanopticClassCheckHook', module=DataCheckHook)


def parts_of(dataset: Any) -> Iterator[Any]:
    """The data sets inside wrappers (ConcatDataset, RepeatDataset, ...)."""
    inner = getattr(dataset, 'datasets', None) or (
        [dataset.dataset] if hasattr(dataset, 'dataset') else []
    )
    if not inner:
        yield dataset
    for part in inner:
        yield from parts_of(part)


def class_conflict(name: str, dataset: Any, learned: Sequence[str], source: str) -> str | None:
    """Why the classes of a data set do not go with those that were learned; None if they do.

    Another order is no conflict where the data set finds its labels by name, nor is a data set to
    evaluate that has fewer classes.

    Args:
        name: of the data set: ``train``, ``val`` or ``test``.
        dataset: of mmengine's form, or a wrapper.
        learned: classes in the order of the labels.
        source: of ``learned``, for the sentence.
    """
    classes = dataset.metainfo.get('classes')
    if classes is None:
        return None
    strangers, missing, equal = difference(classes, learned)
    sorts_itself = all(hasattr(part, 'adopt_classes') for part in parts_of(dataset))
    if equal or (sorts_itself and not strangers and not (name == 'train' and missing)):
        return None
    return _disagreement(name, dataset, learned, source)


def check_counts(model: Any, dataset: Any) -> None:
    """Compare the number of classes of a model with those of a data set.

    Looks at ``num_things_classes`` and ``num_stuff_classes`` of the model, and at ``num_classes``
    of its box and mask heads, which is the number of things of a panoptic set. Models that read
    their classes from text have no number.

    Raises:
        InputError: naming both numbers and what to set.
    """
    if hasattr(model, 'language_model'):
        return
    built_for = None
    if hasattr(model, 'num_things_classes'):
        built_for = model.num_things_classes, model.num_stuff_classes
    compare_counts(dataset, head_counts(model), type(model).__name__, built_for)


def compare_counts(
    dataset: Any,
    heads: Iterable[tuple[str, int]],
    model: str,
    panoptic: tuple[int, int] | None = None,
) -> None:
    """Compare numbers of classes with those of a data set.

    Args:
        dataset: of mmengine's form, or a wrapper.
        heads: name and ``num_classes`` of the box and mask heads.
        model: its name, for the error.
        panoptic: thing and stuff classes of the model, if it has such numbers.

    Raises:
        InputError: naming both numbers and what to set.
    """
    meta = dataset.metainfo
    if 'classes' not in meta:
        return
    things = list(meta.get('thing_classes', meta['classes']))
    stuff = list(meta.get('stuff_classes', ()))
    counts = len(things), len(stuff)
    if 'thing_classes' in meta and panoptic is not None and panoptic != counts:
        raise InputError(
            f'{type(dataset).__name__} has {len(things)} thing and {len(stuff)} stuff classes, '
            f'but {model} was built for {panoptic[0]} and {panoptic[1]}. Set '
            f'model=dict(num_things_classes={len(things)}, num_stuff_classes={len(stuff)}) in '
            'the config'
        )
    for name, number in heads:
        if number != len(things):
            raise InputError(
                f'{type(dataset).__name__} has {len(things)} classes ({some_names(things)}), but '
                f'num_classes={number} in model.{name}. Set it to {len(things)} in the config'
            )


def head_counts(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and ``num_classes`` of the heads with one output for each class."""
    for name, module in model.named_modules():
        number = getattr(module, 'num_classes', None)
        is_rpn = 'RPN' in type(module).__name__
        if is_counted_head(name) and isinstance(number, int) and not is_rpn:
            yield name, number


def _check_table(name: str, dataset: Any) -> None:
    """The host takes any text for a table of classes, and its letters for their names."""
    if isinstance(dataset.metainfo.get('classes'), str):
        raise InputError(
            f'{name}: metainfo classes={dataset.metainfo["classes"]!r} is no list of names. '
            f"{type(dataset).__name__} does not take 'auto' (mmext.CocoDataset and "
            'mmext.CocoPanopticDataset do): list the classes'
        )


def is_counted_head(name: str) -> bool:
    """Whether a part of a model, by its dotted name, has one output for each class."""
    parts = [part for part in name.split('.') if not part.isdigit()]
    return bool(parts) and parts[-1] in _COUNTED and 'rpn_head' not in parts


def _line(name: str, dataset: Any) -> str:
    summary = getattr(dataset, 'summary', None)
    if summary is None and len(dataset) > _MAX_COUNTED:
        return f'{name}: {len(dataset)} images; objects are not counted'
    return (summary or summary_of(dataset)).line(name)


def check_evaluator(name: str, dataset: Any, metrics: Sequence[Any]) -> None:
    """Let metrics look at the file they judge by, and see whether there is something to find.

    Raises:
        InputError: a file does not fit, or nothing can be found.
    """
    for metric in metrics:
        _check_packed(name, dataset, metric)
        if hasattr(metric, 'check_truth'):
            metric.check_truth()
        elif getattr(metric, '_coco_api', None) is not None and metric.cat_ids is None:
            metric.cat_ids = _category_ids(metric._coco_api, dataset, name)
    summaries = [getattr(part, 'summary', None) for part in parts_of(dataset)]
    known = [summary for summary in summaries if summary is not None]
    judged = any(not getattr(metric, 'format_only', False) for metric in metrics)
    if judged and len(known) == len(summaries) and not any(s.usable for s in known):
        raise InputError(
            f'nothing to find: {known[0].line(name)}. To predict alone, set format_only=True '
            'and outfile_prefix in the evaluator'
        )


def _check_packed(name: str, dataset: Any, metric: Any) -> None:
    """Look whether the data samples will carry the ground truth that a metric takes from them."""
    for part in parts_of(dataset):
        transforms = getattr(getattr(part, 'pipeline', None), 'transforms', ())
        packers = [transform for transform in transforms if hasattr(transform, 'meta_keys')]
        needed = getattr(metric, 'sample_keys', ())
        lacking = [key for key in needed if packers and key not in packers[-1].meta_keys]
        if lacking:
            raise InputError(
                f'{name}_evaluator: {type(metric).__name__} takes its ground truth from the data '
                f'samples, but {type(packers[-1]).__name__} of the {name} pipeline does not pack '
                f'{" and ".join(map(repr, lacking))}. Add it to its meta_keys, or set ann_file of '
                'the evaluator'
            )


def _category_ids(truth: Any, dataset: Any, name: str) -> list[Any]:
    """Category id of each label in the file of mmdet's ``CocoMetric``.

    It takes the order of the file for that of the labels, which is right for mmdet's data set
    alone.
    """
    classes = dataset.metainfo['classes']
    if not all(hasattr(part, 'adopt_classes') for part in parts_of(dataset)):
        return truth.get_cat_ids(cat_names=classes)
    id_of = {category['name']: category['id'] for category in truth.dataset['categories']}
    missing = [label for label in classes if label not in id_of]
    if missing:
        raise InputError(
            f'{name}_evaluator: its ann_file has no category {some_names(missing)}, which the data '
            'set has; evaluate on the file of the data set'
        )
    return [id_of[label] for label in classes]


def _disagreement(name: str, dataset: Any, learned: Sequence[str], source: str) -> str:
    pairs = enumerate(zip_longest(dataset.metainfo['classes'], learned))
    label, (own, other) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    return (
        f'{type(dataset).__name__} ({name}): class {label} is {own!r}, that of {source} {other!r}. '
        f'Set metainfo=dict(classes={tuple(learned)}) in the config of the data set'
    )


def _inner_model(model: Any) -> Any:
    while hasattr(model, 'module'):  # of several processes, of augmentation
        model = model.module
    return model
