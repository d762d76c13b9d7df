"""Key points of labeled objects: whose a loose point is, and the table of a class."""

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from mmext.errors import InputError
from mmext.formats.exports.labeled import Export, LabeledObject, LabeledPoint, PointTable

_SIDES = (('left', 'right'), ('l', 'r'))
_WORDS = re.compile(r'(?<![a-z])(left|right|l|r)(?![a-z])', re.IGNORECASE)
_OTHER = dict(_SIDES) | {right: left for left, right in _SIDES}


ALONE = 'object'
"""The class of points that belong to no box or outline."""


class LoosePoint(NamedTuple):
    """A point that was labeled by itself.

    Attributes:
        name: of the point.
        place: where it is.
        group: what binds it to an object; None where nothing does.
    """

    name: str
    place: LabeledPoint
    group: Hashable = None


def attach(
    points: Iterable[LoosePoint],
    objects: list[LabeledObject],
    groups: dict[Hashable, LabeledObject],
    export: Export,
) -> None:
    """Give each point to its object: that of its group, or else the only one around it.

    In a photo with points alone each group of them, or all that are in none, is an object: its
    class is 'object', its box that around the points.

    Args:
        points: of one photo.
        objects: of the same, with their boxes; changed.
        groups: the object of each group, as far as it has one.
        export: counts the points that are nobody's.
    """
    points = list(points)
    if points and not objects:
        alone = {group: LabeledObject(ALONE, (0.0, 0.0, 0.0, 0.0)) for _, _, group in points}
        for name, place, group in points:
            if name in alone[group].points:
                export.leave_out(f'second points {name!r} of an object')
            alone[group].points.setdefault(name, place)
        for labeled in alone.values():
            labeled.box_xywh = box_around(labeled.points.values())
        objects += alone.values()
        return
    for name, place, group in points:
        owner = groups.get(group) if group is not None else None
        if owner is None and group is None:
            around = [each for each in objects if _holds(each, place)]
            owner = around[0] if len(around) == 1 else None
        if owner is None:
            export.leave_out('key points of no object, or that lie in several')
        elif name in owner.points:
            export.leave_out(f'second points {name!r} of an object')
        else:
            owner.points[name] = place


def box_around(points: Iterable[LabeledPoint]) -> tuple[float, float, float, float]:
    """The box x, y, width, height around the labeled ones, px; zeros if there is none."""
    labeled = [point for point in points if point.visibility]
    if not labeled:
        return (0.0, 0.0, 0.0, 0.0)
    left, top = min(p.x for p in labeled), min(p.y for p in labeled)
    right, bottom = max(p.x for p in labeled), max(p.y for p in labeled)
    return (left, top, right - left, bottom - top)


def point_tables(export: Export, asked: Sequence[str] | None = None) -> dict[str, PointTable]:
    """The key points of each class that has some.

    Args:
        export: with its objects, and its tables if it has some.
        asked: the order of the names, for classes without a table; None: by name, 2 before 10.

    Raises:
        InputError: objects have points that are not asked for, or not in the table.
    """
    found: dict[str, set[str]] = {}
    for photo in export.photos:
        for each in photo.objects:
            found.setdefault(each.name, set()).update(each.points)
    tables = {}
    for name, names in found.items():
        table = export.points.get(name)
        if table is None and names:
            table = PointTable(tuple(asked or sorted(names, key=_natural)))
        if table is None:
            continue
        if strangers := sorted(names - set(table.names), key=_natural):
            raise InputError(
                f'points of {name}: the export has {strangers[:8]} too, got {list(table.names)[:8]}'
            )
        if table.mirrored is None:
            table = PointTable(table.names, table.edges, mirrored_pairs(table.names))
        tables[name] = table
    return tables


def mirrored_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Names that differ in left and right alone.

    >>> mirrored_pairs(['nose', 'left_eye', 'right_eye', 'Wrist R', 'Wrist L'])
    (('left_eye', 'right_eye'), ('Wrist R', 'Wrist L'))
    """
    by_fold = {_fold(name): name for name in names}
    pairs = []
    for name in names:
        other = by_fold.get(_WORDS.sub(lambda side: _OTHER[side[0].lower()], _fold(name)))
        if other is not None and other != name and (other, name) not in pairs:
            pairs.append((name, other))
    return tuple(pairs)


def _fold(name: str) -> str:
    """In lower case, words apart: LeftEye and left-eye are both left_eye."""
    apart = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name)
    return re.sub(r'[\s_-]+', '_', apart).lower().replace('_', ' ')


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Numbers in a name count as numbers."""
    parts = re.findall(r'\d+|\D+', name)
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part) for part in parts]


def _holds(labeled: LabeledObject, point: LabeledPoint) -> bool:
    left, top, width, height = labeled.box_xywh
    return left <= point.x <= left + width and top <= point.y <= top + height
