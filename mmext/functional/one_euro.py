"""The One Euro filter: points that tremble at rest and do not lag when they move.

Casiez et al., "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012. A low-pass filter whose cutoff frequency grows with the speed.

Speeds are in sizes of the object each second, so that near and far objects are alike.

Shapes: N objects, K points.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class OneEuro(NamedTuple):
    """The filter's numbers.

    Attributes:
        min_cutoff_hz: cutoff at rest; lower is smoother, and lags more.
        beta: growth of the cutoff, Hz for each size a second; higher lags less.
        speed_cutoff_hz: cutoff of the speeds.
    """

    min_cutoff_hz: float = 1.0
    beta: float = 6.0
    speed_cutoff_hz: float = 1.0


DEFAULT = OneEuro()


class Filtered(NamedTuple):
    """What is kept of the last frame.

    Attributes:
        points: ``[N, K, 2]`` px, filtered.
        speeds: ``[N, K, 2]`` sizes a second, filtered.
    """

    points: Floats
    speeds: Floats


def begin(points: Floats) -> Filtered:
    """The state after the first frame of points ``[N, K, 2]``: they are taken as they are."""
    values = np.asarray(points, np.float64)
    return Filtered(values, np.zeros_like(values))


def advance(
    state: Filtered, points: Floats, sizes: Floats, seconds: float, rule: OneEuro = DEFAULT
) -> Filtered:
    """The state after one more frame.

    Args:
        state: of the same objects in the frame before.
        points: ``[N, K, 2]`` px; one that is not finite keeps its last place, and one that was not
            finite begins anew.
        sizes: ``[N]`` px, above 0, of the objects.
        seconds: since the last frame, above 0.
        rule: the filter's numbers.

    Returns:
        A new state.

    Raises:
        ValueError: another number of points than before, or no time has passed.

    >>> state = begin(np.zeros((1, 1, 2)))
    >>> advance(state, np.ones((1, 1, 2)), np.ones(1), 1e9).points.round(3).tolist()
    [[[1.0, 1.0]]]
    """
    values = np.asarray(points, np.float64)
    if values.shape != state.points.shape:
        raise ValueError(f'points: expected {state.points.shape}, got {values.shape}')
    if not seconds > 0:
        raise ValueError(f'seconds: expected more than 0, got {seconds}')
    known, new = np.isfinite(state.points), np.isfinite(values)
    values = np.where(new, values, state.points)
    before = np.where(known, state.points, values)
    scale = np.asarray(sizes, np.float64)[:, None, None]
    speeds = (values - before) / scale / seconds
    share = _share(rule.speed_cutoff_hz, seconds)
    speeds = np.where(known & new, share * speeds + (1 - share) * state.speeds, 0.0)
    speed = np.linalg.norm(np.nan_to_num(speeds), axis=2, keepdims=True)
    share = _share(rule.min_cutoff_hz + rule.beta * speed, seconds)
    return Filtered(share * values + (1 - share) * before, speeds)


def _share(cutoff_hz: Any, seconds: float) -> Any:
    """How much of a new value is taken over, 0 to 1."""
    turns = 2 * np.pi * cutoff_hz * seconds
    return turns / (turns + 1)
