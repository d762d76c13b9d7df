"""Boxes that were written in another form than COCO's x, y, width, height.

Corners, centers and swapped axes are numbers like any other. What gives them away is the image
that they leave, or the pixels that they miss, while another reading fits.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError

_FEW_BOXES = 8  # fewer tell nothing about the form
_BORDER_PX = 1.0  # COCO's own boxes end up to a pixel behind the border
_MANY_OUTSIDE = 0.15  # share of boxes that leave their image; of a correct file nearly none does
_NEARLY_ALL = 0.98

Boxes = npt.NDArray[np.floating]


def _from_corners(xywh: Boxes) -> Boxes:
    return xywh


def _from_centers(xywh: Boxes) -> Boxes:
    low = xywh[:, :2] - xywh[:, 2:] / 2
    return np.concatenate([low, low + xywh[:, 2:]], axis=1)


def _from_swapped(xywh: Boxes) -> Boxes:
    y, x, h, w = xywh.T
    return np.stack([x, y, x + w, y + h], axis=1)


READINGS: Mapping[str, Callable[[Boxes], Boxes]] = {
    'corners x1, y1, x2, y2': _from_corners,
    'center x, center y, width, height': _from_centers,
    'y, x, height, width': _from_swapped,
}
"""Each makes x1, y1, x2, y2 of four numbers ``[n, 4]``."""


def as_written(boxes_xyxy: Boxes) -> Boxes:
    """The four numbers of COCO's form ``[n, 4]``, x, y, width, height."""
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def check_extents(boxes_xyxy: Boxes, sizes_wh: Boxes, source: str) -> None:
    """Look whether boxes leave their images, where in another form all of them would stay inside.

    Args:
        boxes_xyxy: ``[n, 4]``, px, read as COCO's form.
        sizes_wh: of the image of each ``[n, 2]``, px; NaN where it is not known.
        source: of the boxes, for the error.

    Raises:
        InputError: names the form that fits.
    """
    known = np.isfinite(boxes_xyxy).all(axis=1) & np.isfinite(sizes_wh).all(axis=1)
    boxes, sizes = boxes_xyxy[known], sizes_wh[known]
    if len(boxes) < _FEW_BOXES:
        return
    outside = ~_inside(boxes, sizes)
    if outside.mean() < _MANY_OUTSIDE:
        return
    written = as_written(boxes)
    for form, read in READINGS.items():
        if _inside(read(written), sizes).mean() >= _NEARLY_ALL:
            first = int(np.flatnonzero(outside)[0])
            x, y, w, h = written[first].round(1)
            raise InputError(
                f'{source}: {outside.sum()} of {len(boxes)} boxes reach out of their image, read '
                f'as {form} they would fit (first: bbox [{x:g}, {y:g}, {w:g}, {h:g}], image '
                f'{sizes[first][0]:g}x{sizes[first][1]:g}). bbox is x, y, width, height in pixels '
                'of the photo'
            )


def _inside(boxes: Boxes, sizes: Boxes) -> npt.NDArray[np.bool_]:
    """Whether boxes have a width and a height and lie in images ``[n]``."""
    within = (boxes[:, :2] >= -_BORDER_PX) & (boxes[:, 2:] <= sizes + _BORDER_PX)
    return np.all(within & (boxes[:, 2:] > boxes[:, :2]), axis=1)
