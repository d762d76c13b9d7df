"""Charts of the figures: part (I) and coordinates (U, V) of every point of the surface.

The 24 parts and their mirror images are those of DensePose (Güler et al., CVPR 2018). A solid
has one chart all around (hands, feet) or two of half of it: back and front, for the head the right
and the left half. U is the angle around the solid's axis and V the height along it, both scaled
to 0..1; the angle runs the same way around in all charts, so that the mirror image of (U, V) is
(1 - U, V) on the part of the other side.

Only ``+ - * / sqrt`` are used, element by element (see :mod:`mmext.demo.textures`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.demo.figure_body import SOLIDS
from mmext.formats.surface_files import NUM_PARTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Chart(NamedTuple):
    """How a solid is divided.

    Attributes:
        parts: its part numbers, in the order of the angle.
        start: angle where the first one begins, in whole turns from x over -z.
    """

    parts: tuple[int, ...]
    start: float


CHARTS: dict[str, Chart] = {
    'torso': Chart((2, 1), 0.0),
    'right_hand': Chart((3,), 0.0),
    'left_hand': Chart((4,), 0.5),  # the seam is at the inner side
    'left_foot': Chart((5,), 0.5),
    'right_foot': Chart((6,), 0.0),
    'right_upper_leg': Chart((9, 7), 0.0),
    'left_upper_leg': Chart((10, 8), 0.0),
    'right_lower_leg': Chart((13, 11), 0.0),
    'left_lower_leg': Chart((14, 12), 0.0),
    'left_upper_arm': Chart((17, 15), 0.0),
    'right_upper_arm': Chart((18, 16), 0.0),
    'left_lower_arm': Chart((21, 19), 0.0),
    'right_lower_arm': Chart((22, 20), 0.0),
    'head': Chart((23, 24), 0.25),
}

SOLID_OF_PART = [0] * (NUM_PARTS + 1)
"""Number of the solid of each part, 0 also for the background."""
for _number, _name in enumerate(SOLIDS):
    for _part in CHARTS[_name].parts:
        SOLID_OF_PART[_part] = _number

_STARTS = np.array([CHARTS[name].start for name in SOLIDS])
_COUNTS = np.array([len(CHARTS[name].parts) for name in SOLIDS], np.int64)
_PARTS = np.array([(*CHARTS[name].parts, *CHARTS[name].parts)[:2] for name in SOLIDS], np.int64)
_LAST = 1 - 2.0**-53


def surface_coordinates(
    solids: Ints, points: tuple[Floats, Floats, Floats], reach: Floats
) -> tuple[Ints, Floats, Floats]:
    """Part, U and V of points on the surface, each ``[n]``.

    Args:
        solids: number of the solid of each point ``[n]``.
        points: x, y, z ``[n]`` in the frame of the solid, divided by its radii.
        reach: of each solid, from its middle to its end along y, divided by its radius.
    """
    around = turns(points[0], -points[2]) - _STARTS[solids]
    around = np.minimum(around - np.floor(around), _LAST)
    count = _COUNTS[solids]
    half = np.floor(around * count).astype(np.int64)
    u = around * count - half
    v = np.clip((points[1] + reach) / (2 * reach), 0, 1)
    return _PARTS[solids, half], u, v


def angle_of(part: int, u: float) -> float:
    """The angle around the solid's axis at U of a part, in turns from x over -z."""
    parts, start = CHARTS[SOLIDS[SOLID_OF_PART[part]]]
    return (start + (parts.index(part) + u) / len(parts)) % 1.0


def turns(x: Floats, y: Floats) -> Floats:
    """The angle of (x, y), 0 to 1 for a whole turn; ``[n]``, to 1e-12, equal on every machine."""
    across, up = np.abs(x), np.abs(y)
    steep = up > across
    longer = np.where(steep, up, across)
    slope = np.where(steep, across, up) / np.where(longer > 0, longer, 1)
    eighth = _arc_tangent(slope) / (2 * np.pi)
    quarter = np.where(steep, 0.25 - eighth, eighth)
    half = np.where(x < 0, 0.5 - quarter, quarter)
    angle: Floats = np.where(y < 0, 1 - half, half)
    return np.where(angle >= 1, 0.0, angle)


def _arc_tangent(slope: Floats) -> Floats:
    """Of slopes 0 to 1: two halvings of the angle, then the series."""
    for _ in range(2):
        slope = slope / (1 + np.sqrt(1 + slope * slope))
    square = slope * slope
    total = np.full_like(slope, 1 / 17)
    for odd in (15, 13, 11, 9, 7, 5, 3, 1):
        total = 1 / odd - square * total
    result: Floats = 4 * slope * total
    return result
