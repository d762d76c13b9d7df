"""The masks of a COCO file and their areas: polygons or run-length codes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as run_lengths

from mmext.formats.coco_faults import Fault, Faults
from mmext.formats.coco_values import Json

_MIN_POLYGON = 6  # numbers of three points
_FARTHEST_PX = 100_000  # mean of the coordinates; drawing a polygon walks along its edges
_ZERO = 48  # the character of digit 0 in a compressed code
_MOST_DIGITS = 7  # of a run: 35 bits


def read_mask(annotation: Json, image: Mapping[str, Any], faults: Faults, where: str) -> None:
    """A run-length code, polygons, or no ``segmentation`` at all: exporters of boxes write ``[]``.

    A mask that is no such thing is taken out of the record.
    """
    written = annotation.get('segmentation')
    if not written:
        annotation.pop('segmentation', None)
        return
    is_code = isinstance(written, Mapping)
    size = image['height'], image['width']
    mask = usable_code(written, *size) if is_code else _polygons(written)
    if mask is None:
        annotation.pop('segmentation')
        faults.add(Fault.BAD_MASK, where)
    else:
        annotation['segmentation'] = mask


def usable_code(code: Mapping[str, Any], height: int, width: int) -> Json | None:
    """A run-length code, None unless its runs fill the image; decoders trust that they do."""
    size, counts = code.get('size'), code.get('counts')
    shape = [height, width]
    if not isinstance(size, list | tuple) or list(size) != shape:
        return None
    runs = _runs(counts) if isinstance(counts, list) else decode_runs(counts)
    if runs is None or (runs < 0).any() or runs.sum() != shape[0] * shape[1]:
        return None
    return {**code, 'size': shape}


def _runs(counts: list[Any]) -> npt.NDArray[np.int64] | None:
    if not counts or not all(type(count) is int for count in counts):
        return None
    try:
        return np.array(counts, np.int64)
    except OverflowError:
        return None


def decode_runs(text: Any) -> npt.NDArray[np.int64] | None:
    """The runs ``[n]`` of a compressed code; None if it is none.

    Five bits a character, the lowest first, with a sixth that says whether more follow; from the
    fourth run on the difference to the run before the last.
    """
    data = text.encode() if isinstance(text, str) else text  # no letter beyond ASCII is a digit
    if not isinstance(data, bytes) or not data:
        return None
    digits = np.frombuffer(data, np.uint8).astype(np.int64) - _ZERO
    is_last = digits < 32
    if digits.min() < 0 or digits.max() > 63 or not is_last[-1]:
        return None
    starts = np.flatnonzero(np.concatenate([[True], is_last[:-1]]))
    lengths = np.diff(starts, append=len(digits))
    if lengths.max() > _MOST_DIGITS:
        return None
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    runs: npt.NDArray[np.int64] = np.add.reduceat((digits & 31) << (5 * places), starts)
    runs -= np.where(digits[is_last] & 16, 1 << (5 * lengths), 0)
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return runs


def _polygons(written: Any) -> list[list[float]] | None:
    if not isinstance(written, list):
        return None
    nested = written if isinstance(written[0], list) else [written]
    return [p for p in nested if _is_polygon(p)] or None


def is_plain_polygons(written: Any) -> bool:
    """Whether ``segmentation`` is polygons that can be used as they are written."""
    if type(written) is not list:
        return False
    for points in written:  # a loop is the quickest here, and this is asked of every object
        if type(points) is not list or not _is_polygon(points):
            return False
    return bool(written)


def _is_polygon(points: Any) -> bool:
    try:
        is_near = abs(sum(points)) <= _FARTHEST_PX * len(points)  # nor is it NaN
        return len(points) >= _MIN_POLYGON and len(points) % 2 == 0 and is_near
    except TypeError:
        return False


def mask_area(mask: Any, height: int, width: int) -> float:
    """Pixels of polygons or of a run-length code, compressed or not."""
    if isinstance(mask, list) or isinstance(mask['counts'], list):
        mask = run_lengths.frPyObjects(mask, height, width)
    return float(run_lengths.area(run_lengths.merge(mask) if isinstance(mask, list) else mask))
