"""The one rule of colors: an object has that of its class, in a shade of its own number.

All colors are RGB, 0 to 255.
"""

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Color = tuple[int, int, int]
Picture = npt.NDArray[np.uint8]  # RGB [H, W, 3]

WHITE: Color = (255, 255, 255)
INK: Color = (24, 24, 24)

_GOLDEN_RATIO = 0.61803399  # steps of this fraction of a circle stay far apart from each other
# the same in two dimensions (powers of 1 / 1.3247, the plastic number)
_HUE_STEP, _LIGHTNESS_STEP = 0.75487767, 0.56984029
_HUE_RANGE, _LIGHTNESS_RANGE = 0.04, 0.35  # most of a shade: in turns; towards black or white
_LUMA = np.array([0.299, 0.587, 0.114])
_MIDDLE_LUMA, _CONTRAST = 128.0, 55.0


def class_colors(palette: Any, num_classes: int) -> list[Color]:
    """One color per class: those of ``palette`` and, where it has none, generated ones.

    Args:
        palette: a sequence of RGB triples, or one triple for all classes; anything else (None,
            ``'random'``, what is no color) counts as empty.
        num_classes: how many are wanted.
    """
    given = read_palette(palette, num_classes)
    hues = [(index * _GOLDEN_RATIO) % 1.0 for index in range(num_classes)]
    made = [colorsys.hsv_to_rgb(hue, 0.75, 0.5 + 0.45 * (i % 3) / 2) for i, hue in enumerate(hues)]
    return [*given, *(_to_bytes(color) for color in made[len(given) :])][:num_classes]


def read_palette(palette: Any, num_classes: int) -> list[Color]:
    """The colors of a palette; none of one that cannot be read, which is no reason to end."""
    if palette is None or isinstance(palette, str):
        return []
    if len(palette) == 3 and all(np.ndim(part) == 0 for part in palette):
        palette = [palette] * num_classes
    if any(np.size(color) != 3 for color in palette):
        return []
    return [(int(red), int(green), int(blue)) for red, green, blue in palette]


def shade(color: Color, number: int) -> Color:
    """The color of the ``number``-th instance of a class; number 0 is the color itself."""
    if number == 0:
        return color
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in color))
    hue += _HUE_RANGE * _around_zero(number * _HUE_STEP)
    shift = _LIGHTNESS_RANGE * _around_zero(number * _LIGHTNESS_STEP)
    lightness += abs(shift) * ((1.0 if shift > 0 else 0.0) - lightness)
    return _to_bytes(colorsys.hls_to_rgb(hue % 1.0, lightness, saturation))


def luma(colors: npt.ArrayLike) -> float:
    """How bright colors ``[..., 3]`` are to the eye in the mean, 0 to 255."""
    return float(np.asarray(colors, np.float64).reshape(-1, 3).mean(axis=0) @ _LUMA)


def rim_for(color: Color, ground: npt.ArrayLike) -> Color | None:
    """What a line needs around it to be seen on pixels ``[..., 3]``: white, ink or nothing."""
    if abs(luma(color) - luma(ground)) > _CONTRAST:
        return None
    return WHITE if luma(color) < _MIDDLE_LUMA else INK


def ranks(labels: npt.NDArray[np.integer[Any]], scores: npt.NDArray[Any] | None) -> list[int]:
    """The number of each object in its class, from 0: the best scored first, or by position.

    >>> ranks(np.array([1, 1, 0]), np.array([0.2, 0.9, 0.5]))
    [1, 0, 0]
    """
    order = np.arange(len(labels)) if scores is None else np.argsort(-scores, kind='stable')
    seen: dict[int, int] = {}
    found = [0] * len(labels)
    for index in order.tolist():
        label = int(labels[index])
        found[index] = seen.get(label, 0)
        seen[label] = found[index] + 1
    return found


def _around_zero(value: float) -> float:
    """The fraction of a number, from -1 to 1."""
    return 2 * (value % 1.0) - 1


def _to_bytes(color: Sequence[float]) -> Color:
    red, green, blue = (round(255 * channel) for channel in color)
    return red, green, blue
