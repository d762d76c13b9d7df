"""Labeled photos as the content of a COCO instances file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.formats.exports.labeled import Export, LabeledObject, LabeledPhoto, PointTable
from mmext.formats.exports.pixel_masks import joined


def coco_content(
    export: Export,
    photos: Sequence[LabeledPhoto],
    classes: Sequence[str],
    root: Path,
    points: Mapping[str, PointTable] | None = None,
) -> dict[str, Any]:
    """The content of the file.

    Args:
        export: counts what is left out: objects outside of their photo.
        photos: those to write, all of the export or some.
        classes: in the order of the labels; category ids are 1, 2, 3, ...
        root: file names are relative to it.
        points: the key points of a class by its name.

    Returns:
        ``images``, ``annotations`` and ``categories``; ids are 1, 2, 3, ... A category with key
        points has ``keypoints``, ``skeleton`` (numbers from 1) and, beyond COCO, ``flip_pairs``:
        names that change places in a mirror.
    """
    points = points or {}
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    annotations: list[dict[str, Any]] = []
    for image_id, photo in enumerate(photos, start=1):
        for labeled in photo.objects:
            record = _annotation(labeled, photo.size_wh)
            if record is None:
                export.leave_out('objects outside of their photo, or without a size')
                continue
            if labeled.name in points:
                record |= _key_points(export, labeled, points[labeled.name], photo.size_wh)
            ids = dict(id=len(annotations) + 1, image_id=image_id)
            annotations.append({**ids, 'category_id': numbers[labeled.name], **record})
    categories = [
        dict(id=number, name=name, **(_described(points[name]) if name in points else {}))
        for name, number in numbers.items()
    ]
    return dict(images=image_records(photos, root), annotations=annotations, categories=categories)


def image_records(photos: Sequence[LabeledPhoto], root: Path) -> list[dict[str, Any]]:
    """``images`` of a COCO file: ids are 1, 2, 3, ..., file names relative to ``root``."""
    return [
        dict(
            id=image_id,
            file_name=Path(os.path.relpath(photo.path, root)).as_posix(),
            width=photo.size_wh[0],
            height=photo.size_wh[1],
        )
        for image_id, photo in enumerate(photos, start=1)
    ]


def class_names(export: Export, asked: Sequence[str] | None = None) -> tuple[str, ...]:
    """The classes: those asked for, those of the export's table, or all that occur, by name.

    Raises:
        InputError: objects are of a class that is not asked for.
    """
    found = {labeled.name for photo in export.photos for labeled in photo.objects}
    table = asked or export.classes
    if table is None:
        return tuple(sorted(found))
    if strangers := sorted(found - set(table)):
        raise InputError(f'classes: the export has {strangers[:8]} too, got {list(table)[:8]}')
    return tuple(table)


def _annotation(labeled: LabeledObject, size_wh: tuple[int, int]) -> dict[str, Any] | None:
    """One object, its box cut at the border of the photo; None if nothing is left of it."""
    width, height = size_wh
    x, y, w, h = labeled.box_xywh
    left, right = (min(max(edge, 0.0), width) for edge in (x, x + w))
    top, bottom = (min(max(edge, 0.0), height) for edge in (y, y + h))
    if not (right > left and bottom > top):
        return None
    box = [left, top, right - left, bottom - top]
    record: dict[str, Any] = dict(bbox=box, iscrowd=int(labeled.ignored), area=box[2] * box[3])
    if labeled.masks:
        record['segmentation'], record['area'] = joined(labeled.masks, labeled.polygons, size_wh)
    elif labeled.polygons:
        record['segmentation'] = labeled.polygons
        record['area'] = sum(_polygon_area(polygon) for polygon in labeled.polygons)
    return record


def _key_points(
    export: Export, labeled: LabeledObject, table: PointTable, size_wh: tuple[int, int]
) -> dict[str, Any]:
    """x, y and visibility in turns; a point outside of the photo is not labeled."""
    flat: list[float] = []
    for name in table.names:
        point = labeled.points.get(name)
        if point is None or not point.visibility:
            flat += (0, 0, 0)
        elif 0 <= point.x <= size_wh[0] and 0 <= point.y <= size_wh[1]:
            flat += point
        else:
            export.leave_out('key points outside of their photo')
            flat += (0, 0, 0)
    return dict(keypoints=flat, num_keypoints=sum(seen > 0 for seen in flat[2::3]))


def _described(table: PointTable) -> dict[str, Any]:
    numbers = {name: number for number, name in enumerate(table.names, start=1)}
    return dict(
        keypoints=list(table.names),
        skeleton=[[numbers[first], numbers[second]] for first, second in table.edges],
        flip_pairs=[list(pair) for pair in table.mirrored or ()],
    )


def _polygon_area(flat: Sequence[float]) -> float:
    """By the shoelace formula, px^2."""
    xs, ys = flat[0::2], flat[1::2]
    pairs = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for x0, y0, x1, y1 in pairs)) / 2
