"""YOLO: a text file of relative numbers beside each photo, and ``data.yaml`` with the names.

A line is ``class x y width height`` around the center, or ``class x y x y x y ...`` along the
outline, all from 0 to 1. Where ``data.yaml`` has ``kpt_shape: [K, D]``, K key points of D numbers
follow the box: x, y and, with D 3, COCO's visibility. ``flip_idx`` says which point each one
becomes in a mirror, ``kpt_names`` names them by class. ``labels/`` stands beside ``images/`` or in
the place of it in the path.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmext.errors import InputError
from mmext.formats.exports.labeled import (
    Export,
    LabeledObject,
    LabeledPhoto,
    LabeledPoint,
    PointTable,
    only_file,
    photos_in,
    shown_size,
)
from mmext.formats.text_files import read_text


@dataclass
class _Rows:
    """What the numbers of a line mean: the classes, and the key points of each."""

    classes: tuple[str, ...]
    points: dict[str, PointTable]
    point_size: int


def read(source: Path, split: str, photos: Path | None = None) -> Export:
    """Read one split.

    Args:
        source: ``data.yaml``, or the folder that it is in.
        split: 'train', 'val' or 'test': a key of ``data.yaml``.
        photos: folder of the photos; None: as ``data.yaml`` says.

    Raises:
        InputError: a file is missing or wrong; names line and remedy.
    """
    table = _table(source)
    classes = _classes(table['names'], table['file'])
    rows = _Rows(classes, *_points(table, classes))
    folders = [photos] if photos is not None else _folders(table, split)
    export = Export(classes=classes, points=rows.points)
    for folder in folders:
        for path in photos_in(folder):
            size = shown_size(path)
            photo = LabeledPhoto(path, size)
            labels = _labels_of(path)
            if labels is None:
                export.leave_out('photos without a label file, taken as empty')
            else:
                photo.objects = _objects(labels, rows, size)
            export.photos.append(photo)
    return export


def _table(source: Path) -> dict[str, Any]:
    file = only_file(source, 'data.yaml', '*.yaml', '*.yml')
    try:
        table = yaml.safe_load(file.read_text('utf-8-sig'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f'{file}: {" ".join(str(error).split())}') from error
    if not isinstance(table, dict) or 'names' not in table:
        raise InputError(f'{file}: no names, the table of classes of a YOLO data set')
    return {**table, 'file': file}


def _classes(names: Any, file: Path) -> tuple[str, ...]:
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise InputError(f'{file}: names: expected numbers from 0, got {sorted(names)[:8]}')
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f'{file}: names: expected a list of classes, got {names!r}')
    return tuple(str(name) for name in names)


def _points(table: dict[str, Any], classes: tuple[str, ...]) -> tuple[dict[str, PointTable], int]:
    """The key points of each class, and how many numbers a point has; none without kpt_shape."""
    shape, file = table.get('kpt_shape'), table['file']
    if shape is None:
        return {}, 0
    if (
        not isinstance(shape, list)
        or [type(number) for number in shape] != [int, int]
        or not (shape[0] > 0 and shape[1] in (2, 3))
    ):
        raise InputError(f'{file}: kpt_shape: expected [points, 2 or 3], got {shape!r}')
    count, flips = shape[0], table.get('flip_idx')
    if flips is not None and (not isinstance(flips, list) or sorted(flips) != list(range(count))):
        raise InputError(f'{file}: flip_idx: expected each of 0 to {count - 1} once, got {flips!r}')
    tables = {}
    for label, name in enumerate(classes):
        given = table.get('kpt_names')
        listed = given.get(label, given.get(str(label))) if isinstance(given, dict) else given
        names = tuple(map(str, listed or range(1, count + 1)))
        if len(set(names)) != count:
            raise InputError(f'{file}: kpt_names of {name}: expected {count} names, got {names!r}')
        pairs = None
        if flips is not None:
            pairs = tuple((names[i], names[j]) for i, j in enumerate(flips) if i < j)
        tables[name] = PointTable(names, mirrored=pairs)
    return tables, shape[1]


def _folders(table: dict[str, Any], split: str) -> list[Path]:
    """The folders of photos of a split, looked for from ``path`` and from the file itself."""
    named = table.get(split) or (table.get('valid') if split == 'val' else None)
    if not named:
        known = [key for key in ('train', 'val', 'valid', 'test') if table.get(key)]
        raise InputError(f'{table["file"]}: no split {split!r}, it has {known}')
    home = table['file'].parent
    roots = [home / str(table.get('path') or ''), home, home.parent]
    folders = []
    for name in named if isinstance(named, list) else [named]:
        # exports write ../train/images from a folder that is not there any more
        tried = [root / name for root in roots] + [home / str(name).removeprefix('../')]
        folder = next((path for path in tried if path.is_dir()), None)
        if folder is None:
            raise InputError(
                f'{table["file"]}: {split}: no folder {tried[0]}; name it with --photos'
            )
        folders.append(folder)
    return folders


def _labels_of(photo: Path) -> Path | None:
    beside = photo.with_suffix('.txt')
    parts = list(photo.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == 'images':
            moved = Path(*parts[:index], 'labels', *parts[index + 1 :]).with_suffix('.txt')
            return next((path for path in (moved, beside) if path.is_file()), None)
    return beside if beside.is_file() else None


def _objects(labels: Path, rows: _Rows, size_wh: tuple[int, int]) -> list[LabeledObject]:
    objects, classes = [], rows.classes
    for number, line in enumerate(read_text(labels).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        place = f'{labels}:{number}'
        try:
            values = [float(word) for word in words]
        except ValueError:
            raise InputError(f'{place}: expected numbers, got {line.strip()[:60]!r}') from None
        label = int(values[0])
        if label != values[0] or not 0 <= label < len(classes):
            raise InputError(
                f'{place}: class {words[0]}, but data.yaml has 0 to {len(classes) - 1}'
            )
        objects.append(_object(classes[label], values[1:], rows, size_wh, place))
    return objects


def _object(
    name: str, values: list[float], rows: _Rows, size_wh: tuple[int, int], place: str
) -> LabeledObject:
    width, height = size_wh
    points: dict[str, LabeledPoint] = {}
    if name in rows.points and len(values) != 4:
        names = rows.points[name].names
        if len(values) != 4 + len(names) * rows.point_size:
            raise InputError(
                f'{place}: expected x y width height and {len(names)} key points of '
                f'{rows.point_size} numbers as kpt_shape says, got {len(values)} numbers'
            )
        points, values = _placed(names, values[4:], rows.point_size, size_wh), values[:4]
    if len(values) == 4:
        x, y, w, h = values
        box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        return LabeledObject(name, box, points=points)
    if len(values) < 6 or len(values) % 2:
        raise InputError(
            f'{place}: expected x y width height, or 3 corners or more, got {len(values)} numbers '
            '(key points need kpt_shape in data.yaml)'
        )
    corners = [value * (width, height)[i % 2] for i, value in enumerate(values)]
    return LabeledObject.of_polygon(name, corners)


def _placed(
    names: tuple[str, ...], values: list[float], size: int, size_wh: tuple[int, int]
) -> dict[str, LabeledPoint]:
    """Key points in px; without a visibility one at 0, 0 or left of it is not labeled."""
    points = {}
    for index, name in enumerate(names):
        x, y, *seen = values[size * index : size * (index + 1)]
        visibility = min(max(round(seen[0]), 0), 2) if seen else 2 * (min(x, y) >= 0 < max(x, y))
        points[name] = LabeledPoint(x * size_wh[0], y * size_wh[1], visibility)
    return points
