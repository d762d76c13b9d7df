"""Names of objects on a picture: none over another, none over a small object where it can be.

A name that finds no place near its object is counted in a legend at the bottom.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import INK, Color, Picture
from mmext.drawing.fonts import readable, text_mask
from mmext.drawing.layout import line_width, paint_ink, text_size

_PLATE_OPACITY = 0.72
_REACH = 4  # a name moves so many of its heights away from where it would be best
_COST_OF_COVERING, _COST_OUTSIDE = 3.0, 2.0  # in steps of a move
_SMALL = 3.0  # objects lower and narrower than so many lines are not to be covered
_MOST_PLACED = 150  # names; more cannot be read
_MOST_OF_WIDTH = 0.6  # of the picture, for one name

_steps = np.arange(-_REACH, _REACH + 1)
_MARGIN = np.array([-1, -1, 1, 1])  # between two names
_grid = np.stack(np.meshgrid(_steps, _steps), axis=-1).reshape(-1, 2)
_MOVES = _grid[np.argsort((_grid**2).sum(axis=1), kind='stable')]
_FARTHEST = np.hypot(_MOVES[:, 0], _MOVES[:, 1])


class Label(NamedTuple):
    """What is said of an object.

    Attributes:
        name: of its class.
        color: the object's.
        box_xyxy: the object's, px.
        note: what follows the name: a score, a number, attributes.
        inner_xy: a point deep inside; the name is written around it. None: above the box.
        segment: the object's value in a map of segments.
    """

    name: str
    color: Color
    box_xyxy: tuple[int, int, int, int]
    note: str = ''
    inner_xy: tuple[int, int] | None = None
    segment: int = -1


def class_name(classes: Sequence[str], label: int) -> str:
    """The name of a class, or its number where there is no name or no font for it."""
    if not 0 <= label < len(classes):
        return f'class {label}'
    return readable(str(classes[label]), f'class {label}')


def draw_labels(
    picture: Picture,
    labels: Sequence[Label],
    unplaced: Sequence[Label] = (),
    segments: npt.NDArray[np.integer[Any]] | None = None,
) -> None:
    """Write names; in place.

    Args:
        picture: ``[H, W, 3]``.
        labels: the most important first.
        unplaced: these are only counted in the legend.
        segments: ``[H, W]``: which pixels are of which label; a name prefers its own.
    """
    size = text_size(picture)
    places = _Places(picture, labels[:_MOST_PLACED], size)
    plates, left_over = [], [*labels[_MOST_PLACED:], *unplaced]
    for label in labels[:_MOST_PLACED]:
        text = f'{label.name} {label.note}'.rstrip()
        wish = _wish(label, _plate_size(picture, text, size))
        found = places.find(wish, label, segments)
        if found is None:
            left_over.append(label)
            continue
        plates.append((text, label.color, found))
        if not _touches(found, label, segments):
            _draw_leader(picture, found, label.inner_xy or label.box_xyxy[:2], label.color)
    for text, color in _legend(left_over):
        spot = places.find_at_bottom(_plate_size(picture, text, size))
        if spot is not None:
            plates.append((text, color, spot))
    for text, color, spot in plates:
        _draw_plate(picture, text, color, spot, size)


class _Places:
    """Where names are already, and what they must not cover. Rectangles are x, y, x, y."""

    def __init__(self, picture: Picture, labels: Iterable[Label], size: int) -> None:
        self.height, self.width = picture.shape[:2]
        self.line = size + 2 * _padding(size)
        boxes = np.array([label.box_xyxy for label in labels], np.float64).reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        self._small = boxes[(sides <= _SMALL * self.line).all(axis=1)]
        areas = (self._small[:, 2:] - self._small[:, :2]).prod(axis=1)
        self._cost_of_small = _COST_OF_COVERING / np.maximum(areas, 1)  # per px
        self._taken = np.zeros((0, 4))

    def find(
        self,
        wish: npt.NDArray[Any],
        label: Label,
        segments: npt.NDArray[np.integer[Any]] | None,
    ) -> npt.NDArray[Any] | None:
        """The cheapest free rectangle near one that is wished for; None: there is none."""
        left, top, right, bottom = label.box_xyxy
        # a large object has room elsewhere
        step = np.maximum(self.line, np.array([right - left, bottom - top]) / (2 * _REACH + 2))
        spots = self._inside(wish + np.tile(np.round(_MOVES * step), 2))
        cost = _FARTHEST + _common_area(spots, self._small) @ self._cost_of_small
        if segments is not None:
            middles = ((spots[:, :2] + spots[:, 2:]) / 2).astype(int)
            x, y = np.minimum(middles, [self.width - 1, self.height - 1]).T
            cost += _COST_OUTSIDE * (segments[y, x] != label.segment)
        return self._take(spots, cost)

    def find_at_bottom(self, size_wh: tuple[int, int]) -> npt.NDArray[Any] | None:
        """The lowest free place, and of those the leftmost."""
        x = np.arange(0, max(1, self.width - size_wh[0]), max(1, self.line // 2))
        for y in range(self.height - size_wh[1], -1, -self.line - 1):
            low = np.full_like(x, y)
            spots = np.stack([x, low, x + size_wh[0], low + size_wh[1]], axis=1).astype(float)
            if (spot := self._take(spots, x.astype(float))) is not None:
                return spot
        return None

    def _take(self, spots: npt.NDArray[Any], cost: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        covered = (_common_area(spots, self._taken) > 0).any(axis=1)
        beyond = (spots[:, 2] > self.width) | (spots[:, 3] > self.height)
        cost = np.where(covered | beyond, np.inf, cost)
        best = int(cost.argmin())
        if not np.isfinite(cost[best]):
            return None
        self._taken = np.vstack([self._taken, spots[best] + _MARGIN])
        return np.asarray(spots[best].astype(int))

    def _inside(self, spots: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Rectangles, moved into the picture."""
        limits = np.array([self.width, self.height])
        beyond = np.maximum(spots[:, 2:] - limits, 0)
        moved = spots - np.tile(beyond, 2)
        return np.asarray(moved - np.tile(np.minimum(moved[:, :2], 0), 2))


def _common_area(spots: npt.NDArray[Any], boxes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``[S, B]``: what a spot and a box have in common, square px."""
    (left, top, right, bottom), others = spots.T[..., None], boxes.T
    width = np.minimum(right, others[2]) - np.maximum(left, others[0])
    height = np.minimum(bottom, others[3]) - np.maximum(top, others[1])
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0))


def _padding(size: int) -> int:
    return max(1, size // 8)


def _stripe(size: int) -> int:
    return max(3, size // 3)


def _plate_size(picture: Picture, text: str, size: int) -> tuple[int, int]:
    height, width = _mask(picture, text, size).shape
    return width + _stripe(size) + 3 * _padding(size), height + _padding(size)


def _mask(picture: Picture, text: str, size: int) -> npt.NDArray[np.uint8]:
    return text_mask(text, size, int(_MOST_OF_WIDTH * picture.shape[1]))


def _wish(label: Label, size_wh: tuple[int, int]) -> npt.NDArray[Any]:
    width, height = size_wh
    if label.inner_xy is not None:
        left, top = label.inner_xy[0] - width // 2, label.inner_xy[1] - height // 2
        x1, y1, x2, y2 = label.box_xyxy
        if 2 * height > y2 - y1 or width > x2 - x1:  # the name would hide it
            top = y1 - height - 2
    else:
        left, top = label.box_xyxy[0], label.box_xyxy[1] - height
    return np.array([left, top, left + width, top + height])


def _touches(
    spot: npt.NDArray[Any], label: Label, segments: npt.NDArray[np.integer[Any]] | None
) -> bool:
    """Whether a name is so near to its object that no line is needed."""
    if segments is not None and (
        segments[(spot[1] + spot[3]) // 2, (spot[0] + spot[2]) // 2] == label.segment
    ):
        return True
    left, top, right, bottom = label.box_xyxy
    large = max(right - left, bottom - top) >= 4 * (spot[3] - spot[1])
    if segments is not None and large:  # its box may hold much else
        return False
    near = spot[0] <= right and spot[2] >= left and spot[1] <= bottom + 3 and spot[3] >= top - 3
    return bool(near)


def _legend(left_over: Iterable[Label]) -> list[tuple[str, Color]]:
    counts: dict[str, tuple[int, Color]] = {}
    for label in left_over:
        count, color = counts.get(label.name, (0, label.color))
        counts[label.name] = count + 1, color
    return [
        (name if count == 1 else f'{name} × {count}', color)
        for name, (count, color) in counts.items()
    ]


def _draw_leader(
    picture: Picture, spot: npt.NDArray[Any], target: tuple[int, ...], color: Color
) -> None:
    """A line from the nearest point of a plate to its object."""
    start = [int(np.clip(target[axis], spot[axis], spot[axis + 2])) for axis in (0, 1)]
    width = line_width(picture)
    for line, thickness in ((INK, width + 1), (color, width)):
        cv2.line(picture, start, target, line, thickness, cv2.LINE_AA)
        cv2.circle(picture, target, thickness, line, -1, cv2.LINE_AA)


def _draw_plate(
    picture: Picture, text: str, color: Color, spot: npt.NDArray[Any], size: int
) -> None:
    """White text on a dark plate with a stripe in the object's color."""
    left, top, right, bottom = spot.tolist()
    plate = picture[top:bottom, left:right]
    plate[:] = (1 - _PLATE_OPACITY) * plate + _PLATE_OPACITY * np.array(INK)
    plate[:, : _stripe(size)] = color
    corner = left + _stripe(size) + _padding(size), top + _padding(size) // 2
    paint_ink(picture, _mask(picture, text, size), corner)
