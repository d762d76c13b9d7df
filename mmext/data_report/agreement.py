"""Do the data sets of a config, its model and a checkpoint speak of the same classes?"""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from mmengine.config import Config

from mmext.data_report.built_sets import BuiltSet
from mmext.data_report.config_heads import configured_heads, configured_panoptic
from mmext.data_report.problems import Problem, Weight, sentence
from mmext.errors import InputError
from mmext.pipelines.class_tables import difference
from mmext.pipelines.data_check_hook import check_evaluator, class_conflict, compare_counts
from mmext.pipelines.data_summary import some_names
from mmext.registry import METRICS


def class_problems(
    sets: Sequence[BuiltSet], model: Mapping[str, Any], learned: Sequence[str] | None
) -> Iterator[Problem]:
    """Compare the classes of all data sets with those of the training, the model, a checkpoint.

    Args:
        sets: of the config.
        model: its ``model``.
        learned: classes of the checkpoint; None without one.
    """
    train = next((each for each in sets if 'train' in each.loops), None)
    for each in sets:
        yield from _head_problems(each, model)
        classes = each.dataset.metainfo.get('classes')
        if classes is None:
            continue
        if train is not None and each is not train and train.dataset.metainfo.get('classes'):
            of_train = train.dataset.metainfo['classes']
            yield from _compared(each, of_train, 'the training set', Weight.STOPS)
        if learned is not None:
            weight = Weight.LOOK if each is train else Weight.STOPS
            yield from _compared(each, learned, 'the checkpoint', weight)


def metric_problems(sets: Sequence[BuiltSet], config: Config) -> Iterator[Problem]:
    """Let the metrics that can do so look at the file they judge by."""
    for each in sets:
        for loop in each.loops:
            written = config.get(f'{loop}_evaluator')
            if loop == 'train' or not written:
                continue
            try:
                check_evaluator(loop, each.dataset, list(_metrics(written, each.dataset)))
            except Exception as error:
                yield Problem(Weight.STOPS, loop, sentence(error))


def _metrics(written: Any, dataset: Any) -> Iterator[Any]:
    """The metrics of ours that look at their file; of others, which read it once built, a stub."""
    for metric in written if isinstance(written, list | tuple) else [written]:
        kind = METRICS.get(metric['type']) if isinstance(metric['type'], str) else metric['type']
        if hasattr(kind, 'check_truth'):
            built = METRICS.build(metric)
            built.dataset_meta = dataset.metainfo
            yield built
        else:
            yield SimpleNamespace(format_only=metric.get('format_only', False))


def _head_problems(each: BuiltSet, model: Mapping[str, Any]) -> Iterator[Problem]:
    name = str(model.get('type'))
    if model.get('language_model'):
        return  # its classes are words of the data set
    numbers: list[tuple[str, tuple[int, int] | None]] = [(name, None)]
    numbers += [(f'{name}.{place}', pair) for place, pair in configured_panoptic(model)]
    for place, pair in numbers:
        heads = [] if pair else configured_heads(model)
        try:
            compare_counts(each.dataset, heads, place, pair)
        except InputError as error:
            yield Problem(Weight.STOPS, each.name, str(error))
            return


def _compared(
    each: BuiltSet, learned: Sequence[str], source: str, weight: Weight
) -> Iterator[Problem]:
    classes = each.dataset.metainfo['classes']
    _, missing, equal = difference(classes, learned)
    if equal:
        return
    conflict = class_conflict(each.loops[0], each.dataset, learned, source)
    if conflict is not None:
        yield Problem(weight, each.name, conflict)
    elif missing:
        yield Problem(Weight.LOOK, each.name, f'without {some_names(missing)} of {source}')
    else:
        text = f'lists its classes in another order than {source}; labels go by name'
        yield Problem(Weight.LOOK, each.name, text)
