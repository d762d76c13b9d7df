"""A config for a detector on one's own COCO files: inherits, with classes and counts filled in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from yapf.yapflib.yapf_api import FormatCode

from mmext.cli.own_points import evaluators, points_of, takes_points, with_points
from mmext.configuration import walk
from mmext.data_report.config_heads import configured_heads, configured_panoptic
from mmext.errors import InputError
from mmext.formats.coco_records import coco_records
from mmext.formats.json_files import parse_json
from mmext.pipelines.class_tables import classes_of_file

_STYLE = '{based_on_style: pep8, column_limit: 100, split_before_first_argument: true}'


def classes_of(file: Path) -> tuple[str, ...]:
    """The classes of a COCO instances file, by category id.

    Raises:
        InputError: it is missing, or no COCO file.
    """
    if not file.is_file():
        raise InputError(f'no annotation file at {file.absolute()}')
    records = coco_records(parse_json(file.read_bytes(), str(file)), str(file))
    return classes_of_file(records.categories)


def config_text(
    base: str, config: Config, train: Path, val: Path, photos: Path, classes: Sequence[str]
) -> str:
    """The text of the config.

    Args:
        base: what it inherits from, as ``mmext::centernet.py``.
        config: the same, loaded.
        train: COCO instances file.
        val: another, to validate on.
        photos: folder that the file names are relative to.
        classes: in the order of the labels.

    Raises:
        InputError: the base is no detector of boxes that reads COCO instances, or one of key points
            and the file has none.
    """
    points = points_of(train) if takes_points(config.model) else None
    classes = classes if points is None else points.classes
    counts = _counts(config.model, len(classes))
    if not counts or next(configured_panoptic(config.model), None):
        raise InputError(
            f'{base}: it has no heads for the classes of COCO instances files; take a detector of '
            'boxes or masks (panoptic data: see the README)'
        )
    if points is None:
        about, evaluator = {}, f'dict(_delete_=True, {_evaluator(config, val)})'
    else:
        with_points(counts, config.model, points)
        about, evaluator = points.metainfo(), _literal(list(evaluators(str(val))))
    loaders = '\n'.join(
        f'{name} = {_literal(_loader(config[name], file, photos, about))}'
        for name, file in (('train_dataloader', train), ('val_dataloader', val))
    )
    text = f'''"""{Path(base.partition('::')[2] or base).stem} on {train.name}."""

_base_ = {base!r}

model = {_literal(counts)}
classes = {tuple(classes)!r}
{loaders}
test_dataloader = val_dataloader
val_evaluator = {evaluator}
test_evaluator = val_evaluator
'''
    formatted, _ = FormatCode(text, style_config=_STYLE)
    return str(formatted)


def _evaluator(config: Config, val: Path) -> str:
    """The arguments of the metric: of boxes, and of masks where the base measures them."""
    masks = any('segm' in str(part.get('metric')) for _, part in walk(config.val_evaluator))
    metric = ", metric=['bbox', 'segm']" if masks else ''
    return f"type='mmext.CocoDetectionMetric', ann_file={str(val)!r}{metric}"


def _loader(
    loader: Mapping[str, Any], file: Path, photos: Path, about: Mapping[str, Any]
) -> dict[str, Any]:
    """What of a loader changes, below the data sets that wrap the one with the file.

    Args:
        loader: of the base.
        file: annotations.
        photos: their folder.
        about: further entries of ``metainfo``.
    """
    dataset, wrappers = loader['dataset'], 0
    while 'ann_file' not in dataset:
        dataset, wrappers = dataset.get('dataset'), wrappers + 1
        if not isinstance(dataset, Mapping):
            raise InputError('the base joins several data sets: write the config by hand')
    own: dict[str, Any] = dict(
        data_root='',
        ann_file=str(file),
        data_prefix=dict(img=f'{photos}/'),
        metainfo=dict(classes=_Name('classes'), **about),
    )
    if 'metainfo' in dataset:  # with classes and colors of other data
        own['metainfo'] = dict(_delete_=True, classes=_Name('classes'), **about)
    for _ in range(wrappers + 1):
        own = dict(dataset=own)
    return own


def _counts(model: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What of a model changes: nested dicts with ``num_classes``; a list of heads is whole."""
    changed: dict[str, Any] = {}
    for place, _ in configured_heads(model):
        node, into = model, changed
        *parts, last = place.split('.')
        for name in parts:
            if isinstance(node[name], list | tuple):
                into[name] = [{**head, 'num_classes': number} for head in node[name]]
                break
            node, into = node[name], into.setdefault(name, {})
        else:
            into[last] = {'num_classes': number}
    return changed


class _Name(str):
    """A variable of the config."""


def _literal(value: Any) -> str:
    """As configs are written: dict(name=...)."""
    if isinstance(value, _Name):
        return value
    if isinstance(value, Mapping):
        return f'dict({", ".join(f"{key}={_literal(each)}" for key, each in value.items())})'
    if isinstance(value, list | tuple):
        inner = ', '.join(_literal(each) for each in value)
        return f'[{inner}]' if isinstance(value, list) else f'({inner}{"," * (len(value) == 1)})'
    return repr(value)
