"""Is a box around the pixels of its object?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.box_readings import READINGS, as_written

_MIN_OVERLAP = 0.5  # IoU of a box and the window of its pixels; boxes with less are elsewhere
_SLACK_PX = 2.0  # between a box and its pixels: rounding, borders, resized masks
_CLOSE = 0.9  # IoU of a large box that is off by more than that
_MIN_OBJECTS = 4  # fewer tell nothing about the form of the boxes

Box = tuple[float, float, float, float]


def check_boxes(pairs: Sequence[tuple[Box, Box]], source: str) -> None:
    """Compare boxes with the windows of the pixels they belong to.

    Args:
        pairs: box and window of each object: x1, y1, x2, y2 in px.
        source: of the boxes, for the error.

    Raises:
        InputError: more than half of the boxes share less than half of their area with the object,
            or fit their object in another form than x, y, width, height.
    """
    if len(pairs) < _MIN_OBJECTS:
        return
    boxes, windows = np.array(pairs, float).transpose(1, 0, 2)  # each [n, 4]
    form, wrong = _meant_form(boxes, windows), misplaced(boxes, windows)
    if form is None and wrong.mean() <= 0.5:
        return
    meant = f', read as {form} they would fit' if form else ''
    first = int(np.flatnonzero(wrong)[0])
    raise InputError(
        f'{source}: {wrong.sum()} of {len(pairs)} boxes that were looked at are not around the '
        f'pixels of their object{meant} (first: bbox {_xywh(boxes[first])}, pixels '
        f'{_xywh(windows[first])}). bbox is x, y, width, height in pixels of the photo'
    )


def fits(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Whether boxes end where their pixels end, nearly, ``[n]`` bool.

    Of COCO's panoptic things every box does so exactly.

    Args:
        boxes: x1, y1, x2, y2 ``[n, 4]``, px.
        windows: of the pixels ``[n, 4]``.
    """
    near = (np.abs(boxes - windows) <= _SLACK_PX).all(axis=1)
    return near | (overlap(boxes, windows) >= _CLOSE)


def misplaced(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Whether boxes are elsewhere than their pixels, or fit them in another form, ``[n]`` bool.

    A box that is only loose, or that has a part of the object that is hidden, is not misplaced.

    Args:
        boxes: x1, y1, x2, y2 ``[n, 4]``, px.
        windows: of the pixels ``[n, 4]``.
    """
    written, right = as_written(boxes), fits(boxes, windows)
    otherwise = [fits(read(written), windows) for read in READINGS.values()]
    return ~right & ((overlap(boxes, windows) < _MIN_OVERLAP) | np.any(otherwise, axis=0))


def _meant_form(boxes: np.ndarray, windows: np.ndarray) -> str | None:
    """The form in which most boxes fit, of those that fit in one of the two forms alone or in none.

    Near the origin of an image corners and sizes are nearly the same numbers.
    """
    written, right = as_written(boxes), fits(boxes, windows)
    for form, read in READINGS.items():
        other = fits(read(written), windows)
        telling = ~(right & other)
        if (other & ~right).sum() > telling.sum() / 2:
            return form
    return None


def mask_window(mask: Any, height: int | None, width: int | None) -> Box | None:
    """The window of polygons or of a run-length code; None where there is none."""
    if isinstance(mask, list) and mask:
        xs, ys = mask[0][0::2], mask[0][1::2]
        for polygon in mask[1:]:
            xs, ys = xs + polygon[0::2], ys + polygon[1::2]
        return min(xs), min(ys), max(xs), max(ys)
    if not isinstance(mask, Mapping) or height is None or width is None:
        return None
    code: Any = mask
    if isinstance(mask['counts'], list):
        code = run_lengths.frPyObjects(mask, height, width)
    x, y, w, h = run_lengths.toBbox(code).tolist()
    return x, y, x + w, y + h


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU ``[n]`` of boxes x1, y1, x2, y2 ``[n, 4]``; 0 where the union has no area."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    shared = (high - low).clip(min=0).prod(axis=1)
    areas = [(b[:, 2:] - b[:, :2]).clip(min=0).prod(axis=1) for b in (boxes, others)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros(len(boxes)), where=union > 0)


def _xywh(box: np.ndarray) -> str:
    x1, y1, x2, y2 = (round(float(v), 1) for v in box)
    return f'[{x1:g}, {y1:g}, {x2 - x1:g}, {y2 - y1:g}]'
