"""Label Studio: a JSON list of tasks, with regions in percent of the photo."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.formats.exports.labeled import (
    Export,
    LabeledObject,
    LabeledPhoto,
    find_photo,
    only_file,
    shown_size,
)
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
        objects = [
            found
            for region in _regions(task)
            if (found := _object(region, size, file, export)) is not None
        ]
        export.photos.append(LabeledPhoto(path, size, objects))
    return export


def _photo(name: str, folders: list[Path]) -> Path | None:
    return find_photo(name, *folders) or find_photo(_UPLOAD_PREFIX.sub(r'\1', name), *folders)


def _regions(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    annotations = [a for a in task.get('annotations') or () if not a.get('was_cancelled')]
    yield from annotations[0].get('result') or () if annotations else ()


def _object(
    region: Mapping[str, Any], size_wh: tuple[int, int], file: Path, export: Export
) -> LabeledObject | None:
    kind, value = str(region.get('type')), region.get('value') or {}
    names = value.get(kind) or []
    if not names or not kind.endswith('labels'):
        return None  # a choice, a text, a relation
    width, height = (side / 100 for side in size_wh)
    try:
        if kind == 'rectanglelabels' and not float(value.get('rotation') or 0):
            x, y, w, h = (float(value[key]) for key in ('x', 'y', 'width', 'height'))
            return LabeledObject(str(names[0]), (x * width, y * height, w * width, h * height))
        if kind == 'polygonlabels' and len(value['points']) > 2:
            corners = [(float(x) * width, float(y) * height) for x, y in value['points']]
            flat = [number for corner in corners for number in corner]
            return LabeledObject.of_polygon(str(names[0]), flat)
    except (KeyError, TypeError, ValueError):
        raise InputError(f'{file}: a region of {names[0]!r}: expected numbers in {kind}') from None
    turned = ', rotated' if value.get('rotation') else ''
    export.leave_out(f'regions of the kind {kind}{turned}')
    return None
