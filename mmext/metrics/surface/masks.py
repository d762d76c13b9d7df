"""Masks of persons as windows of their image, and their overlap.

The released evaluation pastes every mask into the image and encodes it; only the windows are
compared here, pixel by pixel, which counts the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths
from scipy import ndimage

from mmext.formats.surface_annotations import mask_canvas

Mask = NDArray[np.bool_]


class Window(NamedTuple):
    """A mask ``[h, w]`` whose first pixel is at column ``x`` and row ``y`` of its image."""

    x: int
    y: int
    mask: Mask


def pasted(mask: Mask, box_xywh: Sequence[float], size_hw: tuple[int, int]) -> Window:
    """A mask over a box where the released evaluation pastes it: whole px, cut at the image.

    Args:
        mask: ``[h, w]``.
        box_xywh: px.
        size_hw: of the image.
    """
    starts = [int(box_xywh[0]), int(box_xywh[1])]
    kept = []
    for axis, start in enumerate(starts):
        length = mask.shape[1 - axis]
        end = min(int(box_xywh[axis] + box_xywh[axis + 2]), size_hw[1 - axis], start + length)
        first = max(start, 0)
        kept.append(slice(first - start, max(end - start, first - start)))
    return Window(max(starts[0], 0), max(starts[1], 0), mask[kept[1], kept[0]])


def true_window(annotation: Mapping[str, Any], size_hw: tuple[int, int], where: str) -> Window:
    """The mask of an annotated person: of the parts, else of the object, else empty.

    Args:
        annotation: with ``bbox``.
        size_hw: of the image.
        where: names it in errors.
    """
    canvas = mask_canvas(annotation, where)
    if canvas is not None:
        box = annotation['bbox']
        size = max(int(box[3]), 1), max(int(box[2]), 1)
        return pasted(resized_canvas(canvas > 0, size), box, size_hw)
    code = annotation.get('segmentation')
    if not code:
        return Window(0, 0, np.zeros((0, 0), bool))
    if isinstance(code, list) or isinstance(code['counts'], list):
        code = run_lengths.frPyObjects(code, *size_hw)
    merged = run_lengths.merge(code) if isinstance(code, list) else code
    return trimmed(np.asarray(run_lengths.decode(merged), bool))


def resized_canvas(canvas: Mask, size_hw: tuple[int, int]) -> Mask:
    """A canvas of masks at the size of its person: linear, end points on end points, above half."""
    scale = [side / length for side, length in zip(size_hw, canvas.shape, strict=True)]
    zoomed = ndimage.zoom(canvas.astype(np.float32), scale, order=1, prefilter=False)
    above: Mask = zoomed > 0.5
    return above


def trimmed(mask: Mask) -> Window:
    """The window that holds all of a mask of a whole image."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return Window(0, 0, np.zeros((0, 0), bool))
    y, x = int(rows[0]), int(columns[0])
    return Window(x, y, mask[y : rows[-1] + 1, x : columns[-1] + 1].copy())


def overlap(found: Window, truth: Window, is_crowd: bool) -> float:
    """Intersection over union; over the area of what was found, for a crowd."""
    shared = 0
    x, y = max(found.x, truth.x), max(found.y, truth.y)
    ends = (
        [w.x + w.mask.shape[1] for w in (found, truth)],
        [w.y + w.mask.shape[0] for w in (found, truth)],
    )
    right, bottom = min(ends[0]), min(ends[1])
    if right > x and bottom > y:
        parts = [w.mask[y - w.y : bottom - w.y, x - w.x : right - w.x] for w in (found, truth)]
        shared = int(np.count_nonzero(parts[0] & parts[1]))
    own = int(np.count_nonzero(found.mask))
    union = own if is_crowd else own + int(np.count_nonzero(truth.mask)) - shared
    return shared / union if shared else 0.0
