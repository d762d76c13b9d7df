"""LabelMe: a JSON file for each photo, with shapes in pixels."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.formats.exports.labeled import (
    Export,
    LabeledObject,
    LabeledPhoto,
    find_photo,
    shown_size,
)
from mmext.formats.json_files import parse_json

_CIRCLE_CORNERS = 36


def read(source: Path, split: str, photos: Path | None = None) -> Export:
    """Read the JSON files of a folder; shapes of one ``group_id`` and name are one object.

    Args:
        source: the folder.
        split: of no meaning here.
        photos: folder of the photos; None: as each file says, or beside it.

    Raises:
        InputError: a file is missing or wrong.
    """
    files = sorted(source.rglob('*.json'))
    export = Export()
    for file in files:
        content = parse_json(file.read_bytes(), str(file))
        if not isinstance(content, dict) or 'shapes' not in content:
            export.leave_out('JSON files that are none of LabelMe')
            continue
        name = str(content.get('imagePath') or f'{file.stem}.jpg')
        path = find_photo(name, *([photos] if photos else [file.parent]))
        if path is None:
            export.leave_out('files without a photo')
            continue
        objects = _objects(content['shapes'], file, export)
        export.photos.append(LabeledPhoto(path, shown_size(path), objects))
    if not export.photos:
        raise InputError(f'{source}: no files of LabelMe with their photos')
    return export


def _objects(
    shapes: Sequence[Mapping[str, Any]], file: Path, export: Export
) -> list[LabeledObject]:
    objects: list[LabeledObject] = []
    groups: dict[tuple[Any, str], LabeledObject] = {}
    for shape in shapes:
        name, kind = str(shape.get('label') or ''), shape.get('shape_type') or 'polygon'
        found = _object(name, kind, shape.get('points') or [], file)
        if found is None:
            export.leave_out(f'shapes of the kind {kind}')
            continue
        group = shape.get('group_id')
        if group is not None and (group, name) in groups and found.polygons:
            groups[group, name].add(found)
            continue
        if group is not None:
            groups[group, name] = found
        objects.append(found)
    return objects


def _object(name: str, kind: str, points: Any, file: Path) -> LabeledObject | None:
    if not name:
        raise InputError(f'{file}: a shape has no label')
    try:
        corners = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError):
        raise InputError(f'{file}: {name}: points: expected pairs of numbers') from None
    if kind == 'rectangle' and len(corners) >= 2:
        xs, ys = zip(*corners, strict=True)
        return LabeledObject(name, (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)))
    if kind == 'circle' and len(corners) == 2:
        (x, y), edge = corners
        radius, turn = math.dist((x, y), edge), 2 * math.pi / _CIRCLE_CORNERS
        around = [
            (x + radius * math.cos(i * turn), y + radius * math.sin(i * turn))
            for i in range(_CIRCLE_CORNERS)
        ]
        return LabeledObject.of_polygon(name, [value for corner in around for value in corner])
    if kind == 'polygon' and len(corners) >= 3:
        return LabeledObject.of_polygon(name, [value for corner in corners for value in corner])
    return None
