"""Crops of indexed objects: looked at, in sheets and on planes.

Shape legend: N objects.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import Color, Picture, class_colors
from mmext.drawing.layout import paint_ink
from mmext.explain.patches import cut

TILE_PX = 112
_AROUND = 1.3  # of the longer side of a box
_PLANE_PX, _MARGIN_PX, _DOT_PX = 1000, 70, 4
_WRONG = ('class', 'localization', 'both', 'duplicate', 'background', 'missed', 'wrong')


def crop_of(record: dict[str, Any], side_px: int = TILE_PX) -> Picture:
    """The square around an object, RGB ``[side, side, 3]``; gray if its picture is gone."""
    image = cv2.imread(record['image'])
    if image is None:
        return np.full((side_px, side_px, 3), 128, np.uint8)
    return tile_of(np.asarray(image, np.uint8), record['box'], side_px)


def tile_of(
    image: npt.NDArray[np.uint8], box_xyxy: Sequence[float], side_px: int = TILE_PX
) -> Picture:
    """The square around a box of a picture (BGR ``[h, w, 3]``), RGB ``[side, side, 3]``."""
    left, top, right, bottom = box_xyxy
    middle = (left + right) / 2, (top + bottom) / 2
    crop = cut(image, middle, _AROUND * max(right - left, bottom - top, 2.0))
    resized = cv2.resize(crop, (side_px, side_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized[..., ::-1], np.uint8)


def words_of(record: dict[str, Any]) -> tuple[str, str]:
    """Two lines on an object: what it is, and what was said of it."""
    true = record['truth'] or '-'
    said = record['predicted'] or 'missed'
    score = '' if record['score'] is None else f' {record["score"]:.2f}'
    return f'is {true}', f'{said}{score}'


def group_of(record: dict[str, Any], by: str) -> str:
    """The name of the group of an object in a plot: by class, by error, by score."""
    if by == 'error':
        return str(record['error'])
    if by == 'score':
        return 'unscored' if record['score'] is None else f'{int(record["score"] * 5) / 5:.1f} on'
    return str(record['truth'] or record['predicted'] or '-')


def group_colors(names: Sequence[str], classes: Sequence[str]) -> dict[str, Color]:
    """A color of each group; classes have those of all our pictures."""
    of_classes = class_colors(None, len(classes) + len(names))
    order = [*classes, *(name for name in sorted(set(names)) if name not in classes)]
    return {name: of_classes[order.index(name)] for name in dict.fromkeys(names)}


def draw_plane(
    points_xy: npt.NDArray[np.float64],
    groups: Sequence[str],
    colors: dict[str, Color],
    tiles: dict[int, Picture],
    legend: Sequence[str],
) -> Picture:
    """Objects as points, some as their crops, ``[H, W, 3]``.

    Args:
        points_xy: ``[N, 2]``, 0 to 1.
        groups: N names.
        colors: of the groups.
        tiles: crops of some, by number.
        legend: groups that are named, in this order.
    """
    from mmext.drawing.fonts import text_mask

    plane = np.full((_PLANE_PX + 2 * _MARGIN_PX,) * 2 + (3,), 255, np.uint8)
    for number, tile in tiles.items():
        x, y = _place(points_xy[number])
        framed = cv2.copyMakeBorder(
            tile, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=colors[groups[number]]
        )
        half_h, half_w = framed.shape[0] // 2, framed.shape[1] // 2
        top, left = max(y - half_h, 0), max(x - half_w, 0)
        plane[top : top + framed.shape[0], left : left + framed.shape[1]] = framed
    for number, point in enumerate(points_xy):
        if number not in tiles:
            cv2.circle(plane, _place(point), _DOT_PX, colors[groups[number]], -1, cv2.LINE_AA)
    for row, name in enumerate(legend):
        top = 10 + 20 * row
        cv2.circle(plane, (16, top + 8), 6, colors[name], -1, cv2.LINE_AA)
        paint_ink(plane, text_mask(name, 14, 300), (28, top), (24, 24, 24))
    return plane


def svg_plane(
    points_xy: npt.NDArray[np.float64],
    groups: Sequence[str],
    colors: dict[str, Color],
    records: Sequence[dict[str, Any]],
) -> str:
    """The points ``[N, 2]`` as SVG; each says what it is when the mouse is over it."""
    side = _PLANE_PX
    parts = [f'<svg viewBox="-10 -10 {side + 20} {side + 20}" width="100%">']
    for point, group, record in zip(points_xy, groups, records, strict=True):
        red, green, blue = colors[group]
        x, y = point[0] * side, (1 - point[1]) * side
        what = ', '.join((*words_of(record), str(record['error']), Path(record['image']).name))
        color = f'rgb({red},{green},{blue})'
        wrong = record['error'] in _WRONG
        style = f'fill="none" stroke="{color}" stroke-width="2"' if wrong else f'fill="{color}"'
        title = f'<title>{escape(what)}</title>'
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {style}>{title}</circle>')
    return '\n'.join([*parts, '</svg>'])


def _place(point: npt.NDArray[np.float64]) -> tuple[int, int]:
    x, y = point[0] * _PLANE_PX, (1 - point[1]) * _PLANE_PX
    return round(float(x)) + _MARGIN_PX, round(float(y)) + _MARGIN_PX
