"""Are the files there that the data sets of a run will read?

Looked at before the runner is built: mmengine would load the model, open its logs and end in a
traceback. Only existence is checked; what is in the files is checked by the data sets.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmext.configuration import walk
from mmext.errors import InputError

_REMOTE = re.compile(r'^\w[\w+.-]*:')  # s3://, petrel:s3://, http://
_ADVICE = (
    'Put the data set there, name its place with --cfg-options data_root=DIR, or train on the '
    'generated data set, which needs no download: `python -m mmext.demo panoptic --out '
    'data/demo_panoptic`, then configs/upsnet_demo.py (or faces, retinaface_demo.py; video, '
    'vpsnet_demo.py; figures, densepose_demo.py)'
)
# arguments of the host's data sets that name a file below their data_root
_FILES = (
    *('ann_file', 'proposal_file', 'image_level_ann_file'),
    *('label_file', 'meta_file', 'hierarchy_file', 'label_map_file', 'split_file'),
)
_PROPOSALS_ADVICE = (
    "It holds the proposals of an RPN: test one with test_evaluator=dict(type='DumpProposals', "
    'output_dir=DIR, proposals_file=NAME.pkl), or take a detector with an RPN, as faster_rcnn'
)
_GENERATED = re.compile(r'(.*?\bdemo_(panoptic|faces|video|walks|figures))\b')
_WALKS = 'figures --size 128 --train 8 --val 8 --train-clips 100 --val-clips 24'


class DataPath(NamedTuple):
    """A file or folder that a config names: the dotted config key and the path."""

    key: str
    path: str


def check_data(config: Config, loops: Iterable[str]) -> None:
    """Check that a run has its loops and their data sets have their files.

    Args:
        config: the whole config.
        loops: of ``'train'``, ``'val'``, ``'test'``; a ``val`` that is not configured is no
            error, mmengine then trains without it.

    Raises:
        InputError: one line with what is missing, the absolute path, and what to do.
    """
    missing: list[tuple[str, DataPath]] = []
    for loop in loops:
        if config.get(f'{loop}_dataloader') is None or config.get(f'{loop}_cfg') is None:
            if loop != 'val':
                raise InputError(
                    f'the config has no {loop}_dataloader and {loop}_cfg: nothing to {loop}'
                )
            continue
        _check_proposals(config, loop)
        missing += [(loop, found) for found in data_paths(config, loop) if not _exists(found.path)]
    if not missing:
        return
    loop, first = missing[0]
    rest = len({found.path for _, found in missing} - {first.path})
    more = f' (and {rest} more paths)' if rest else ''
    generated = _GENERATED.match(first.path)
    advice = _ADVICE
    if first.key.endswith('.proposal_file'):
        advice = _PROPOSALS_ADVICE
    elif generated:
        root, kind = generated.groups()
        words = _WALKS if kind == 'walks' else kind
        advice = f'`python -m mmext.demo {words} --out {root}` writes it'
    raise InputError(
        f'{loop} data not found: {Path(first.path).absolute()}, named by {first.key}{more}. '
        f'{advice}'
    )


def _check_proposals(config: Config, loop: str) -> None:
    """Refuse a data set whose pipeline loads proposals that no file of it holds."""
    key = f'{loop}_dataloader.dataset'
    for place, part in walk(config[f'{loop}_dataloader'].dataset, key):
        steps = [step.get('type') for step in part.get('pipeline') or ()]
        if 'ann_file' in part and not part.get('proposal_file') and 'LoadProposals' in steps:
            raise InputError(
                f'{place}: its pipeline has LoadProposals, but no proposal_file is named. '
                + _PROPOSALS_ADVICE
            )


def data_paths(config: Config, loop: str) -> Iterator[DataPath]:
    """Local annotation files and folders of the data sets and metrics of one loop.

    Data sets inside wrappers (ConcatDataset, RepeatDataset, ...) are found as well; paths are
    joined with ``data_root`` as mmengine joins them.
    """
    key = f'{loop}_dataloader.dataset'
    for place, part in walk(config[f'{loop}_dataloader'].dataset, key):
        root = part.get('data_root') or ''
        if 'ann_file' in part:
            for name in _FILES:
                yield from _local(f'{place}.{name}', part.get(name), root)
            for name, prefix in (part.get('data_prefix') or {}).items():
                yield from _local(f'{place}.data_prefix.{name}', prefix, root)
            for number, step in enumerate(part.get('pipeline') or ()):
                yield from _local(f'{place}.pipeline.{number}.mirror', step.get('mirror'), '')
    evaluator = config.get(f'{loop}_evaluator')
    for place, part in walk(evaluator or {}, f'{loop}_evaluator'):
        for name in ('ann_file', 'seg_prefix', 'surface'):
            yield from _local(f'{place}.{name}', part.get(name), '')


def _local(key: str, path: Any, root: str) -> Iterator[DataPath]:
    if isinstance(path, str) and path and not _REMOTE.match(f'{root}{path}'):
        yield DataPath(key, str(Path(root, path)))


def _exists(path: str) -> bool:
    return Path(path).expanduser().exists()
