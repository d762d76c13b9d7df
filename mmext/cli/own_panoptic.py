"""A config for a panoptic detector on one's own COCO panoptic files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmext.configuration import walk
from mmext.data_report.config_heads import configured_heads
from mmext.errors import InputError
from mmext.formats.panoptic_files import category_table
from mmext.formats.panoptic_records import panoptic_records

Table = dict[str, tuple[str, ...]]
_FEW = 2  # a weight for objects and one for the rest, of boxes


def is_panoptic(content: Any) -> bool:
    """Whether a JSON is a COCO panoptic file."""
    annotations = content.get('annotations') if isinstance(content, Mapping) else None
    return isinstance(annotations, list) and any(
        isinstance(each, Mapping) and 'segments_info' in each for each in annotations
    )


def table_of(content: Any, file: Path, pngs: Path | None = None) -> Table:
    """``classes``, ``thing_classes`` and ``stuff_classes`` of a panoptic file.

    Args:
        content: what the JSON holds.
        file: its path.
        pngs: their folder; None: beside the file.

    Raises:
        InputError: it is none, or has no things or no stuff; a folder of its PNGs is missing.
    """
    table = category_table(panoptic_records(content, str(file)).categories.values())
    if not table['thing_classes'] or not table['stuff_classes']:
        raise InputError(f'{file}: a panoptic model needs classes of things and of stuff')
    folder = pngs or folder_of(file)
    if not folder.is_dir():
        raise InputError(f'{file}: the folder of its PNGs is expected at {folder}')
    return table


def folder_of(file: Path) -> Path:
    """Where the PNGs of a panoptic file lie: beside it, without its suffix."""
    return file.with_suffix('')


def counts(model: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """What of a model changes: the classes of all heads."""
    things, stuff = len(table['thing_classes']), len(table['stuff_classes'])
    changed: dict[str, Any] = {}
    for place, part in walk(model):
        if 'num_things_classes' in part and 'num_stuff_classes' in part:
            _at(changed, place).update(num_things_classes=things, num_stuff_classes=stuff)
    for place, _ in configured_heads(model):
        if 'num_things_classes' not in (own := _at(changed, place)):
            own['num_classes'] = things
    for place, part in walk(model):
        weights = part.get('class_weight')
        if isinstance(weights, list | tuple) and len(weights) > _FEW:  # and one for "none of them"
            _at(changed, place)['class_weight'] = [1.0] * (things + stuff) + [weights[-1]]
    return changed


def dataset(file: Path, photos: Path, table: Table, pngs: Path | None = None) -> dict[str, Any]:
    """What of a data set changes; ``pngs`` as for :func:`table_of`."""
    return dict(
        data_root='',
        ann_file=str(file),
        data_prefix=dict(img=f'{photos}/', seg=f'{pngs or folder_of(file)}/'),
        metainfo=dict(_delete_=True, **table),
    )


def evaluators(val_dataloader: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """PQ and mIoU from the panoptic files, and box and mask AP where the pipeline packs objects."""
    packed = [key for _, part in walk(val_dataloader) for key in part.get('meta_keys', ())]
    detection = dict(type='mmext.CocoDetectionMetric', metric=['bbox', 'segm'])
    return [
        dict(type='mmext.PanopticQualityMetric', classwise=True),
        *([detection] if 'instances' in packed else []),
        dict(type='SemSegMetric'),
    ]


def _at(changed: dict[str, Any], place: str) -> dict[str, Any]:
    node = changed
    for name in filter(None, place.split('.')):
        node = node.setdefault(name, {})
    return node
