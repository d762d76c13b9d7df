"""The color of an object and the ground below it, measured on its pixels.

Shape legend: P pixels, ``h x w`` image.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

COLORS = (
    'red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink', 'brown', 'white', 'gray', 'black',
)  # fmt: skip
# of OpenCV, 0 to 179: the first color whose end is not passed
_HUES = (
    (7, 'red'), (19, 'orange'), (33, 'yellow'), (85, 'green'), (130, 'blue'), (150, 'purple'),
    (170, 'pink'), (180, 'red'),
)  # fmt: skip
_GRAY_BELOW, _BLACK_BELOW, _WHITE_ABOVE = 45, 45, 190  # saturation, value, value
_BROWN_BELOW = 150  # value: dark orange is brown
_STRIP_SHARE = 0.15  # of the height of an object
_NOTHING = 255


class Tags(NamedTuple):
    """What is said of an object: its class, color, and the ground below; '' where unknown."""

    name: str
    color: str
    ground: str


def tags_of(
    image_bgr: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    name: str,
    classes: Sequence[str],
    semantic: npt.NDArray[Any] | None,
    colors: Sequence[str] = COLORS,
    grounds: Sequence[str] | None = None,
) -> Tags:
    """The tags of an object.

    Args:
        image_bgr: ``[h, w, 3]``.
        mask: ``[h, w]``.
        name: of its class.
        classes: those of the semantic map.
        semantic: ``[h, w]``, 255 is void; None: nothing is known of the ground.
        colors: that may be said; none: no color is.
        grounds: classes that something can stand on; None: all.
    """
    color = color_of(image_bgr[mask], colors) if colors and mask.any() else ''
    below = -1
    if semantic is not None:
        others = [
            c for c, known in enumerate(classes) if grounds is not None and known not in grounds
        ]
        below = ground_below(mask, semantic, others)
    return Tags(name, color, classes[below] if 0 <= below < len(classes) else '')


def color_of(pixels_bgr: npt.NDArray[np.uint8], among: Sequence[str] = COLORS) -> str:
    """The name of the median color of pixels ``[P, 3]``, or the nearest one of ``among``.

    >>> color_of(np.array([[20, 30, 200]], np.uint8))
    'red'
    """
    median = np.median(pixels_bgr, axis=0).round().astype(np.uint8)
    hue, saturation, value = (
        int(v) for v in cv2.cvtColor(median[None, None], cv2.COLOR_BGR2HSV)[0, 0]
    )
    name = _name_of(hue, saturation, value)
    if name in among or not among:
        return name
    return min(among, key=lambda other: float(np.abs(_SAMPLES[other] - median.astype(float)).sum()))


def _name_of(hue: int, saturation: int, value: int) -> str:
    if value < _BLACK_BELOW:
        return 'black'
    if saturation < _GRAY_BELOW:
        return 'white' if value > _WHITE_ABOVE else 'gray'
    name = next(color for end, color in _HUES if hue < end)
    return 'brown' if name == 'orange' and value < _BROWN_BELOW else name


_SAMPLES: dict[str, npt.NDArray[Any]] = {
    name: np.array(bgr, float)
    for name, bgr in dict(
        red=(40, 40, 200), orange=(40, 130, 230), yellow=(50, 220, 230), green=(60, 160, 60),
        blue=(200, 90, 40), purple=(160, 50, 130), pink=(180, 120, 230), brown=(40, 80, 120),
        white=(230, 230, 230), gray=(128, 128, 128), black=(20, 20, 20),
    ).items()
}  # fmt: skip


def ground_below(
    mask: npt.NDArray[np.bool_], semantic: npt.NDArray[Any], left_out: Sequence[int] = ()
) -> int:
    """The class that covers most of the strip below an object, -1 without one.

    Args:
        mask: ``[h, w]``.
        semantic: classes ``[h, w]``, 255 is void.
        left_out: classes that are no ground.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return -1
    height = max(2, round(_STRIP_SHARE * (rows[-1] - rows[0] + 1)))
    strip = (
        slice(rows[-1] - height + 1, rows[-1] + height + 1),
        slice(columns[0], columns[-1] + 1),
    )
    around = semantic[strip][~mask[strip]]
    around = around[~np.isin(around, [_NOTHING, *left_out])]
    return int(np.bincount(around).argmax()) if len(around) else -1
