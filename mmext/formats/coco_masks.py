"""The masks of a COCO file and their areas: polygons or run-length codes."""

import math
from collections.abc import Mapping
from typing import Any

from pycocotools import mask as run_lengths

from mmext.formats.coco_faults import Fault, Faults
from mmext.formats.coco_values import Json

_MIN_POLYGON = 6  # numbers of three points


def read_mask(annotation: Json, image: Mapping[str, Any], faults: Faults, where: str) -> None:
    """A run-length code, polygons, or no ``segmentation`` at all."""
    written = annotation.get('segmentation')
    if written is None:
        annotation.pop('segmentation', None)
        return
    mask = _run_lengths(written, image) if isinstance(written, Mapping) else _polygons(written)
    if mask is None:
        annotation.pop('segmentation')
        faults.add(Fault.BAD_MASK, where)
    else:
        annotation['segmentation'] = mask


def _run_lengths(code: Mapping[str, Any], image: Mapping[str, Any]) -> Json | None:
    size, counts = code.get('size'), code.get('counts')
    is_text = isinstance(counts, str | bytes) and bool(counts)
    is_list = isinstance(counts, list) and all(isinstance(c, int) for c in counts)
    fits = isinstance(size, list | tuple) and list(size) == [image['height'], image['width']]
    return dict(code) if fits and (is_text or is_list) else None


def _polygons(written: Any) -> list[list[float]] | None:
    if not isinstance(written, list):
        return None
    nested = written if not written or isinstance(written[0], list) else [written]
    return [p for p in nested if _is_polygon(p)] or None


def is_plain_polygons(written: Any) -> bool:
    """Whether ``segmentation`` is polygons that can be used as they are written."""
    return type(written) is list and bool(written) and all(map(_is_plain_polygon, written))


def _is_plain_polygon(points: Any) -> bool:
    return type(points) is list and _is_polygon(points)


def _is_polygon(points: Any) -> bool:
    try:
        return len(points) >= _MIN_POLYGON and len(points) % 2 == 0 and math.isfinite(sum(points))
    except TypeError:
        return False


def mask_area(mask: Any, height: int, width: int) -> float:
    """Pixels of polygons or of a run-length code, compressed or not."""
    if isinstance(mask, list) or isinstance(mask['counts'], list):
        mask = run_lengths.frPyObjects(mask, height, width)
    return float(run_lengths.area(run_lengths.merge(mask) if isinstance(mask, list) else mask))
