"""Label Studio: a JSON list of tasks, with regions in percent of the photo, and brush masks.

A key point belongs to the region that is its parent or that a relation joins it to, or else to the
only one around it.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.formats.exports.key_points import LoosePoint, attach
from mmext.formats.exports.labeled import (
    Export,
    LabeledObject,
    LabeledPhoto,
    LabeledPoint,
    find_photo,
    only_file,
    shown_size,
)
from mmext.formats.exports.pixel_masks import mask_of_brush, placed
from mmext.formats.json_files import parse_json

_UPLOAD_PREFIX = re.compile(r'(^|/)[0-9a-f]{8}-(?=[^/]+$)')  # of files that were uploaded


def read(source: Path, split: str, photos: Path | None = None) -> Export:
    """Read the file; of several annotations of a task the first that was not cancelled counts.

    Args:
        source: the JSON file, or the folder that it is the only one in.
        split: of no meaning here.
        photos: folder of the photos; None: ``images`` beside the file, or its folder.

    Raises:
        InputError: the file is missing or wrong.
    """
    file = only_file(source, 'JSON file', '*.json')
    tasks = parse_json(file.read_bytes(), str(file))
    if not isinstance(tasks, list) or not all(isinstance(t, dict) and 'data' in t for t in tasks):
        raise InputError(
            f'{file}: expected a list of tasks with "data": export as "JSON", not as "JSON-MIN"'
        )
    folders = [photos] if photos else [file.parent / 'images', file.parent]
    export = Export()
    for task in tasks:
        names = [value for value in task['data'].values() if isinstance(value, str)]
        path = next((p for name in names if (p := _photo(name, folders)) is not None), None)
        if path is None:
            export.leave_out('tasks without a photo')
            continue
        size = shown_size(path)
        objects = _objects(_regions(task), size, file, export)
        export.photos.append(LabeledPhoto(path, size, objects))
    return export


def _photo(name: str, folders: list[Path]) -> Path | None:
    return find_photo(name, *folders) or find_photo(_UPLOAD_PREFIX.sub(r'\1', name), *folders)


def _regions(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    annotations = [a for a in task.get('annotations') or () if not a.get('was_cancelled')]
    return list(annotations[0].get('result') or ()) if annotations else []


def _objects(
    regions: Sequence[Mapping[str, Any]], size_wh: tuple[int, int], file: Path, export: Export
) -> list[LabeledObject]:
    relations: dict[Hashable, Hashable] = {}
    for region in regions:
        if region.get('type') == 'relation':
            ends = region.get('from_id'), region.get('to_id')
            relations |= {ends[0]: ends[1], ends[1]: ends[0]}
    objects, loose = [], []
    by_id: dict[Hashable, LabeledObject] = {}
    for region in regions:
        kind, value = str(region.get('type')), region.get('value') or {}
        names = value.get(kind) or []
        if not names or not kind.endswith('labels'):
            continue  # a choice, a text, a relation
        identity = region.get('id')
        try:
            if kind == 'keypointlabels':
                place = LabeledPoint(*_px(value['x'], value['y'], size_wh))
                parent = region.get('parentID') or relations.get(identity)
                loose.append(LoosePoint(str(names[0]), place, parent))
                continue
            found = _object(kind, value, str(names[0]), size_wh)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            detail = f' ({error})' if kind == 'brushlabels' else ''
            raise InputError(
                f'{file}: a region of {names[0]!r}: expected numbers in {kind}{detail}'
            ) from None
        if found is None:
            turned = ', rotated' if value.get('rotation') else ''
            export.leave_out(f'regions of the kind {kind}{turned}')
            continue
        objects.append(found)
        by_id[identity] = found
    attach(loose, objects, by_id, export)
    return objects


def _px(x: Any, y: Any, size_wh: tuple[int, int]) -> tuple[float, float]:
    """A place in percent of the photo, in px."""
    return float(x) * size_wh[0] / 100, float(y) * size_wh[1] / 100


def _object(
    kind: str, value: Mapping[str, Any], name: str, size_wh: tuple[int, int]
) -> LabeledObject | None:
    if kind == 'rectanglelabels' and not float(value.get('rotation') or 0):
        left, top = _px(value['x'], value['y'], size_wh)
        width, height = _px(value['width'], value['height'], size_wh)
        return LabeledObject(name, (left, top, width, height))
    if kind == 'polygonlabels' and len(value['points']) > 2:
        corners = [_px(x, y, size_wh) for x, y in value['points']]
        return LabeledObject.of_polygon(name, [number for corner in corners for number in corner])
    if kind == 'brushlabels' and value.get('format') == 'rle':
        mask = mask_of_brush(bytes(value['rle']), size_wh)
        return LabeledObject.of_mask(name, placed(mask, (0, 0), size_wh))
    return None
