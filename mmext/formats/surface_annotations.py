"""What DensePose-COCO adds to the annotations of persons: masks of parts, points of the surface.

A COCO instances file whose annotations may have, all relative to their own box::

    dp_masks        up to 14 run-length codes of 256 x 256 over the box, [] or '' for what is not
                    seen; or one code, the whole body (animals)
    dp_x, dp_y      0 to 256: of the width and height of the box
    dp_I            part of each point, 1 to 24 (0: the background)
    dp_U, dp_V      its coordinates on the chart of the part, 0 to 1

Format: Güler et al., "DensePose", CVPR 2018, and the description of its published files. They are
for non-commercial use and not part of this package.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.coco_masks import usable_code
from mmext.formats.surface_files import NUM_PARTS

NUM_MASKS = 14
CANVAS_SIDE = 256

MIRRORED_MASKS = (0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14)
"""The coarse part that each one is in a mirror image."""

MASK_OF_PART = (
    *(0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9),
    *(10, 11, 10, 11, 12, 13, 12, 13, 14, 14),
)
"""The coarse part that each of the 24 parts belongs to; 0 is the background."""

POINT_KEYS = ('dp_x', 'dp_y', 'dp_I', 'dp_U', 'dp_V')

Floats = NDArray[np.float64]

_SLACK = 1e-3  # of coordinates beyond 0 and 1
_REMEDY = 'take its dp_ keys out, or correct the file'


class SurfacePoints(NamedTuple):
    """Annotated points of a person.

    Attributes:
        xy: ``[P, 2]``, 0 to 256 over the box.
        part: ``[P]``, 0 to 24.
        uv: ``[P, 2]``, 0 to 1.
    """

    xy: Floats
    part: NDArray[np.int64]
    uv: Floats


def has_points(annotation: Mapping[str, Any]) -> bool:
    """Whether points of the surface are annotated."""
    return bool(annotation.get('dp_x'))


def has_masks(annotation: Mapping[str, Any]) -> bool:
    """Whether masks of the parts are annotated."""
    return bool(annotation.get('dp_masks'))


def surface_points(annotation: Mapping[str, Any], where: str) -> SurfacePoints | None:
    """The points of an annotation, None if it has none.

    Args:
        annotation: of a person.
        where: names it in errors.

    Raises:
        InputError: keys are missing, or values of another number, kind or range.
    """
    if not has_points(annotation):
        return None
    missing = [key for key in POINT_KEYS if key not in annotation]
    if missing:
        raise InputError(f'{where}: dp_x without {", ".join(missing)}; {_REMEDY}')
    try:
        x, y, part, u, v = (np.asarray(annotation[key], np.float64) for key in POINT_KEYS)
    except (TypeError, ValueError):
        raise InputError(f'{where}: dp_ values that are no numbers; {_REMEDY}') from None
    shapes = {key: np.shape(annotation[key]) for key in POINT_KEYS}
    if len(set(shapes.values())) > 1 or x.ndim != 1:
        lengths = ', '.join(f'{key} {list(shape)}' for key, shape in shapes.items())
        raise InputError(f'{where}: expected as many values in each, got {lengths}; {_REMEDY}')
    uv = np.stack([u, v], axis=1)
    outside = (uv < -_SLACK) | (uv > 1 + _SLACK)
    odd_part = ~np.isin(part, np.arange(NUM_PARTS + 1))
    if not np.isfinite([x, y, u, v]).all() or outside.any() or odd_part.any():
        raise InputError(
            f'{where}: expected finite dp_x, dp_y, parts 0 to {NUM_PARTS}, dp_U and dp_V 0 to 1, '
            f'got parts {part.min():g} to {part.max():g}, U, V {uv.min():g} to {uv.max():g}; '
            f'{_REMEDY}'
        )
    return SurfacePoints(np.stack([x, y], axis=1), part.astype(np.int64), uv.clip(0, 1))


def mask_canvas(annotation: Mapping[str, Any], where: str) -> NDArray[np.uint8] | None:
    """The coarse part of each cell over the box, ``[256, 256]``, 0 is the background.

    Where masks overlap, the later one counts. None without masks.

    Args:
        annotation: of a person.
        where: names it in errors.

    Raises:
        InputError: a mask is none, or of another size.
    """
    if not has_masks(annotation):
        return None
    canvas = np.zeros((CANVAS_SIDE, CANVAS_SIDE), np.uint8, order='F')  # as codes run
    for number, code in mask_codes(annotation, where).items():
        if isinstance(code['counts'], list):
            code = run_lengths.frPyObjects(code, CANVAS_SIDE, CANVAS_SIDE)
        np.copyto(canvas, np.uint8(number), where=run_lengths.decode(code).view(bool))
    return canvas


def mask_codes(annotation: Mapping[str, Any], where: str) -> dict[int, dict[str, Any]]:
    """The run-length codes of an annotation by number of the coarse part, checked, not decoded.

    Args:
        annotation: of a person.
        where: names it in errors.

    Raises:
        InputError: a mask is none, or of another size.
    """
    masks = annotation.get('dp_masks') or []
    listed = [masks] if isinstance(masks, Mapping) else masks
    if not isinstance(listed, list) or len(listed) > NUM_MASKS:
        raise InputError(f'{where}: dp_masks: expected up to {NUM_MASKS} masks; {_REMEDY}')
    return {
        number: _usable(code, f'{where}, dp_masks {number}')
        for number, code in enumerate(listed, start=1)
        if code
    }


def _usable(code: Any, where: str) -> dict[str, Any]:
    size = code.get('size') if isinstance(code, Mapping) else None
    if size is None or list(size) != [CANVAS_SIDE, CANVAS_SIDE]:
        raise InputError(
            f'{where}: expected a run-length code of {CANVAS_SIDE} x {CANVAS_SIDE}, '
            f'got {"size " + str(size) if size else type(code).__name__}; {_REMEDY}'
        )
    usable = usable_code(code, CANVAS_SIDE, CANVAS_SIDE)
    if usable is None:
        raise InputError(f'{where}: its runs do not fill {CANVAS_SIDE} x {CANVAS_SIDE}; {_REMEDY}')
    return usable
