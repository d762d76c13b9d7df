"""A config for a detector on one's own COCO files: inherits, with classes and counts filled in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from yapf.yapflib.yapf_api import FormatCode

from mmext.cli import own_faces, own_panoptic
from mmext.cli.own_points import is_of_crops, points_of, takes_points, with_points
from mmext.configuration import config_name, walk
from mmext.data_report.config_heads import configured_heads, configured_panoptic
from mmext.errors import InputError
from mmext.formats.coco_records import coco_records
from mmext.formats.json_files import parse_json
from mmext.pipelines.class_tables import classes_of_file

_STYLE = '{based_on_style: pep8, column_limit: 100, split_before_first_argument: true}'


def classes_of(file: Path, pngs: Path | None = None) -> tuple[str, ...]:
    """The classes of a COCO instances or panoptic file, in the order of the labels.

    Args:
        file: the file.
        pngs: folder of the PNGs of a panoptic one; None: beside it.

    Raises:
        InputError: it is missing, or no COCO file.
    """
    if not file.is_file():
        raise InputError(f'no annotation file at {file.absolute()}')
    if own_faces.is_face_file(file):
        return own_faces.CLASSES
    content = parse_json(file.read_bytes(), str(file))
    if own_panoptic.is_panoptic(content):
        return own_panoptic.table_of(content, file, pngs)['classes']
    return classes_of_file(coco_records(content, str(file)).categories)


def config_text(
    base: str, config: Config, files: tuple[Path, Path], photos: Path, pngs: Path | None = None
) -> str:
    """The text of the config.

    Args:
        base: what it inherits from, as ``mmext::centernet.py``.
        config: the same, loaded.
        files: COCO instances files to train and to validate on, or panoptic ones for a panoptic
            detector, or texts of faces.
        photos: folder that the file names are relative to.
        pngs: folder of the PNGs of panoptic files; None: beside each file.

    Raises:
        InputError: the base cannot learn from such files.
    """
    if own_faces.finds_faces(config.model) or any(map(own_faces.is_face_file, files)):
        return _face_config(base, config, files, photos)
    contents = [parse_json(file.read_bytes(), str(file)) for file in files]
    if next(configured_panoptic(config.model), None):
        return _panoptic_config(base, config, files, contents, photos, pngs)
    return _instances_config(base, config, files, contents, photos)


def _panoptic_config(
    base: str,
    config: Config,
    files: tuple[Path, Path],
    contents: Sequence[Any],
    photos: Path,
    pngs: Path | None,
) -> str:
    if not all(map(own_panoptic.is_panoptic, contents)):
        raise InputError(
            f'{base} learns from panoptic files: mmext import ... --stuff CLASS ... makes them '
            'of outlines'
        )
    table = own_panoptic.table_of(contents[0], files[0], pngs)
    counts = own_panoptic.counts(config.model, table)
    parts = [own_panoptic.dataset(file, photos, table, pngs) for file in files]
    evaluators = _literal(list(own_panoptic.evaluators(config.val_dataloader)))
    return _text(base, config, files[0], counts, parts, evaluators)


def _instances_config(
    base: str, config: Config, files: tuple[Path, Path], contents: Sequence[Any], photos: Path
) -> str:
    train, val = files
    points = points_of(train) if takes_points(config.model) else None
    classes = classes_of(train) if points is None else points.classes
    counts = _counts(config.model, len(classes))
    if points is not None:
        with_points(counts, config.model, points)
    if not counts or any(map(own_panoptic.is_panoptic, contents)):
        raise InputError(
            f'{base}: it has no heads for the classes of such files; take a detector of boxes or '
            'masks for instances files, a panoptic one for panoptic files'
        )
    about = {} if points is None else points.metainfo()
    parts = [
        dict(
            data_root='',
            ann_file=str(file),
            data_prefix=dict(img=f'{photos}/'),
            metainfo=dict(_delete_=True, classes=tuple(classes), **about),
        )
        for file in files
    ]
    found = _evaluators(config, str(val), points is not None, contents[1])
    evaluators = _literal(dict(_delete_=True, **found[0]) if len(found) == 1 else list(found))
    return _text(base, config, train, counts, parts, evaluators)


def _face_config(base: str, config: Config, files: tuple[Path, Path], photos: Path) -> str:
    if not own_faces.finds_faces(config.model):
        raise InputError(f'{base} learns from COCO files (.json), not from those of faces')
    if not all(map(own_faces.is_face_file, files)):
        raise InputError(f'{base} learns from files of faces: mmext import ... --out NAME.txt')
    own_faces.check_heads(base, config.model)
    loaders = (config.train_dataloader, config.val_dataloader)
    parts = [
        own_faces.dataset(loader, file, photos) for loader, file in zip(loaders, files, strict=True)
    ]
    return _text(base, config, files[0], {}, parts, _literal(own_faces.evaluators(files)))


def _text(
    base: str,
    config: Config,
    train: Path,
    counts: Mapping[str, Any],
    parts: Sequence[dict[str, Any]],
    evaluator: str,
) -> str:
    """The config, laid out."""
    loaders = '\n'.join(
        f'{name} = {_literal(_loader(config[name], part))}'
        for name, part in zip(('train_dataloader', 'val_dataloader'), parts, strict=True)
    )
    lines = [f'model = {_literal(counts)}'] if counts else []
    if 'metainfo' in parts[0]:
        lines.append(f'classes = {tuple(parts[0]["metainfo"]["classes"])!r}')
    head = '\n'.join(lines)
    text = f'''"""{config_name(base)} on {train.name}."""

_base_ = {base!r}

{head}
{loaders}
test_dataloader = val_dataloader
val_evaluator = {evaluator}
test_evaluator = val_evaluator
'''
    formatted, _ = FormatCode(text, style_config=_STYLE)
    return str(formatted)


def _evaluators(
    config: Config, val: str, has_points: bool, content: Mapping[str, Any]
) -> Sequence[dict[str, Any]]:
    """The metrics of all that the model learns of such a file.

    Args:
        config: of the base.
        val: the file.
        has_points: whether key points are learned.
        content: of the file.
    """
    found = [dict(type='mmext.KeypointOKSMetric', ann_file=val)] if has_points else []
    if is_of_crops(config.model):
        return [*found, dict(type='mmext.LandmarkPCKMetric', ann_file=val)]
    masks = any('segm' in str(part.get('metric')) for _, part in walk(config.val_evaluator))
    boxes: dict[str, Any] = dict(type='mmext.CocoDetectionMetric', ann_file=val)
    found.append(boxes | (dict(metric=['bbox', 'segm']) if masks else {}))
    if any(annotation.get('dp_x') for annotation in content.get('annotations') or ()):
        for _, part in walk(config.val_evaluator):
            if part.get('type') == 'mmext.SurfaceMetric':
                found.append(dict(part, ann_file=val))
    return found


def _loader(loader: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """What of a loader changes, below the data sets that wrap the one with the file.

    Args:
        loader: of the base.
        part: what of the data set changes; its ``metainfo`` takes the place of the base's.
    """
    dataset, wrappers = loader['dataset'], 0
    while 'ann_file' not in dataset:
        dataset, wrappers = dataset.get('dataset'), wrappers + 1
        if not isinstance(dataset, Mapping):
            raise InputError('the base joins several data sets: write the config by hand')
    own = dict(part)
    if 'metainfo' in part:
        own['metainfo'] = dict(part['metainfo'], classes=_Name('classes'))
        if 'metainfo' not in dataset:
            del own['metainfo']['_delete_']
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
