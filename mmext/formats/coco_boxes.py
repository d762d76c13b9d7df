"""The boxes of a COCO file: x, y, width, height in px."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmext.formats.coco_faults import Fault, Faults
from mmext.formats.coco_values import Json


def read_box(record: Json, image: Mapping[str, Any], faults: Faults, where: str) -> None:
    """Bring ``bbox`` into one form, in place; count what is wrong with it.

    A box that is no four numbers is taken out of the record.
    """
    written = record.get('bbox')
    if written is None:
        record.pop('bbox', None)
        faults.add(Fault.NO_BOX, where)
        return
    try:
        x, y, w, h = (float(value) for value in written)
    except (TypeError, ValueError):
        record.pop('bbox')
        faults.add(Fault.BAD_BOX, f'{where}, {written!r}')
        return
    record['bbox'] = [x, y, w, h]
    if not math.isfinite(x + y + w + h):
        faults.add(Fault.NOT_FINITE, f'{where}, {written}')
    elif w < 1 or h < 1:
        faults.add(Fault.SMALL, f'{where}, {written}')
    elif x >= image['width'] or y >= image['height'] or x + w <= 0 or y + h <= 0:
        faults.add(Fault.OUTSIDE, f'{where}, {written}')


def is_usable_box(box: Sequence[float] | None, image: Mapping[str, Any]) -> bool:
    """Whether a box x, y, w, h is finite, at least a pixel wide and high, and not outside."""
    if box is None or not math.isfinite(sum(box)):
        return False
    x, y, w, h = box
    inside = x < image['width'] and y < image['height'] and x + w > 0 and y + h > 0
    return w >= 1 and h >= 1 and inside
