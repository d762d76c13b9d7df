"""LabelMe: a JSON file for each photo, with shapes in pixels.

Points are key points: of the object of their ``group_id``, or else of the only one around them.
Masks are the pixels that LabelMe's assistant has found.
"""

import math
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
    shown_size,
)
from mmext.formats.exports.pixel_masks import mask_of_png, placed
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
        size = shown_size(path)
        objects = _objects(content['shapes'], size, file, export)
        export.photos.append(LabeledPhoto(path, size, objects))
    if not export.photos:
        raise InputError(f'{source}: no files of LabelMe with their photos')
    return export


def _objects(
    shapes: Sequence[Mapping[str, Any]], size_wh: tuple[int, int], file: Path, export: Export
) -> list[LabeledObject]:
    objects: list[LabeledObject] = []
    parts: dict[tuple[Hashable, str], LabeledObject] = {}
    groups: dict[Hashable, LabeledObject] = {}
    loose: list[LoosePoint] = []
    for shape in shapes:
        name, kind = str(shape.get('label') or ''), shape.get('shape_type') or 'polygon'
        corners = _corners(shape, name, file)
        group = shape.get('group_id')
        if kind == 'point' and len(corners) == 1:
            loose.append(LoosePoint(name, LabeledPoint(*corners[0]), group))
            continue
        if kind == 'mask':
            found: LabeledObject | None = _painted(shape, name, corners, size_wh, file)
        else:
            found = _object(name, kind, corners)
        if found is None:
            export.leave_out(f'shapes of the kind {kind}')
            continue
        if group is not None and (group, name) in parts and (found.polygons or found.masks):
            parts[group, name].add(found)
            continue
        if group is not None:
            parts[group, name] = found
            groups.setdefault(group, found)
        objects.append(found)
    attach(loose, objects, groups, export)
    return objects


def _corners(shape: Mapping[str, Any], name: str, file: Path) -> list[tuple[float, float]]:
    if not name:
        raise InputError(f'{file}: a shape has no label')
    try:
        return [(float(x), float(y)) for x, y in shape.get('points') or []]
    except (TypeError, ValueError):
        raise InputError(f'{file}: {name}: points: expected pairs of numbers') from None


def _painted(
    shape: Mapping[str, Any],
    name: str,
    corners: Sequence[tuple[float, float]],
    size_wh: tuple[int, int],
    file: Path,
) -> LabeledObject:
    """A mask: its first point is the left top pixel of the picture in it."""
    try:
        mask = mask_of_png(str(shape.get('mask') or ''), size_wh)
        left, top = (int(value) for value in corners[0])
    except (IndexError, ValueError) as error:
        raise InputError(f'{file}: {name}: mask: {error}') from None
    return LabeledObject.of_mask(name, placed(mask, (left, top), size_wh))


def _object(name: str, kind: str, corners: list[tuple[float, float]]) -> LabeledObject | None:
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
