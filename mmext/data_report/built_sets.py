"""The data sets of a config, built as a run builds them; each file once."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmext.configuration import walk
from mmext.data_report.problems import Problem, Weight, sentence
from mmext.pipelines.data_check_hook import parts_of
from mmext.pipelines.data_summary import DataSummary, summary_of
from mmext.registry import DATASETS

LOOPS = ('train', 'val', 'test')


@dataclass
class BuiltSet:
    """The data set of one loop, or of two that read the same.

    Attributes:
        loops: ``train``, ``val``, ``test``.
        dataset: what the data loader gets, perhaps a wrapper.
        parts: the data sets inside.
    """

    loops: list[str]
    dataset: Any
    parts: list['Part'] = field(default_factory=list)

    @property
    def name(self) -> str:
        """``val, test``."""
        return ', '.join(self.loops)


@dataclass
class Part:
    """A data set with an annotation file of its own.

    Attributes:
        name: of its loops, with a number if there are several.
        loops: ``train``, ``val``, ``test``.
        dataset: that reads the file.
        infos: data of every image, not to be changed.
        summary: what was read.
    """

    name: str
    loops: Sequence[str]
    dataset: Any
    infos: Sequence[Mapping[str, Any]]
    summary: DataSummary

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the labels."""
        return tuple(map(str, self.dataset.metainfo.get('classes') or ()))

    @property
    def num_things(self) -> int | None:
        """Of a panoptic set, how many of the first classes are things."""
        things = self.dataset.metainfo.get('thing_classes')
        return None if things is None else len(things)


def build_sets(
    config: Config, loops: Iterable[str], advance: Callable[[int], None] = lambda count: None
) -> tuple[list[BuiltSet], list[Problem]]:
    """Build the data sets of some loops.

    Args:
        config: the whole config.
        loops: that the config has.
        advance: told about every loop.

    Returns:
        The data sets, and what stopped others.
    """
    built: dict[str, BuiltSet] = {}
    refused: dict[str, tuple[list[str], str]] = {}
    for loop in loops:
        written = config[f'{loop}_dataloader'].dataset
        key = _without_pipelines(written)
        if key in built:
            built[key].loops.append(loop)
        elif key in refused:
            refused[key][0].append(loop)
        else:
            try:
                built[key] = BuiltSet([loop], _build(written))
            except Exception as error:
                refused[key] = [loop], sentence(error)
        advance(1)
    for each in built.values():
        each.parts = list(_parts(each))
    problems = [Problem(Weight.STOPS, ', '.join(where), text) for where, text in refused.values()]
    return list(built.values()), problems


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of cycles: it would go through millions of new records in vain."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor go through them afterwards
        if was_enabled:
            gc.enable()


def _build(written: Mapping[str, Any]) -> Any:
    """A data set whose records are not packed: they are read all, once, in this process."""
    unpacked = _copied(written)
    for _, part in walk(unpacked):
        kind = DATASETS.get(part['type']) if isinstance(part.get('type'), str) else part.get('type')
        if isinstance(kind, type) and issubclass(kind, BaseDataset):
            part.setdefault('serialize_data', False)
    try:
        return _initialized(DATASETS.build(unpacked))
    except TypeError:  # a class that does not hand on what its base takes
        return _initialized(DATASETS.build(written))


def _initialized(dataset: Any) -> Any:
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return dataset


def _copied(node: Any) -> Any:
    if isinstance(node, dict):
        return type(node)({key: _copied(value) for key, value in node.items()})
    if isinstance(node, list | tuple):
        return type(node)(_copied(value) for value in node)
    return node


def _without_pipelines(node: Any) -> str:
    """Equal for data sets that read the same."""
    if isinstance(node, dict):
        items = sorted((k, _without_pipelines(v)) for k, v in node.items() if k != 'pipeline')
        return str(items)
    if isinstance(node, list | tuple):
        return str([_without_pipelines(value) for value in node])
    return repr(node)


def _parts(built: BuiltSet) -> Iterator[Part]:
    inner = list(parts_of(built.dataset))
    for number, dataset in enumerate(inner, start=1):
        name = built.name if len(inner) == 1 else f'{built.name} ({number} of {len(inner)})'
        infos = _infos(dataset)
        summary = getattr(dataset, 'summary', None) or summary_of(dataset)
        yield Part(name, built.loops, dataset, infos, summary)


def _infos(dataset: Any) -> Sequence[Mapping[str, Any]]:
    """The data of all images; without a copy where the data set holds them as they are."""
    if getattr(dataset, 'serialize_data', True) is False and len(dataset.data_list) == len(dataset):
        return list(dataset.data_list)
    return [dataset.get_data_info(index) for index in range(len(dataset))]
