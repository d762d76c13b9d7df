"""Share of correct key points: PCK, and PCKh by the length of the head.

A point is correct if it is nearer than a threshold times a length of the object (Yang and Ramanan,
TPAMI 2013; Andriluka et al., "2D Human Pose Estimation", CVPR 2014, for PCKh). The threshold itself
is not reached: the comparison is strict. A point of an object that was not found is wrong.

Shapes: N objects, K points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_SIDES = ('left_', 'right_')
AUC_STEPS = 20


def normalized_distances(
    predicted: Floats, points: Floats, visible: Floats, lengths: Floats
) -> Floats:
    """Of each point in lengths of its object, ``[N, K]``; nan where nothing is annotated.

    Args:
        predicted: ``[N, K, 2]``; inf for an object that was not found.
        points: ``[N, K, 2]``.
        visible: ``[N, K]``, 0 = not annotated.
        lengths: ``[N]``; nan leaves the object out.
    """
    apart = np.abs(predicted - points)
    distances = np.hypot(apart[..., 0], apart[..., 1]) / lengths[:, None]
    return np.where((visible > 0) & np.isfinite(lengths)[:, None], distances, np.nan)


def correct_shares(distances: Floats, threshold: float) -> tuple[Floats, Ints]:
    """The share of correct points of each name ``[K]``, nan without any, and how many there are.

    Args:
        distances: ``[N, K]``, nan where nothing is annotated.
        threshold: in lengths; a distance below it is correct.
    """
    annotated = ~np.isnan(distances)
    counts = annotated.sum(axis=0)
    correct = (annotated & (np.nan_to_num(distances, nan=np.inf) < threshold)).sum(axis=0)
    shares = np.full(distances.shape[1], np.nan)
    return np.divide(correct, counts, out=shares, where=counts > 0), counts


def mean_share(shares: Floats, weights: Ints | None = None) -> float:
    """The mean over the names that occur; nan without any.

    Args:
        shares: ``[K]``, nan for a name that does not occur.
        weights: ``[K]``, how many points there are of each; None: all names count alike.
    """
    known = ~np.isnan(shares)
    if not known.any():
        return float('nan')
    return float(np.average(shares[known], weights=None if weights is None else weights[known]))


def mean_over_thresholds(distances: Floats, steps: int = AUC_STEPS) -> float:
    """The mean of PCK at 0, 1/20, .. 19/20 of the length: what mmpose calls AUC.

    Args:
        distances: ``[N, K]``.
        steps: how many thresholds.
    """
    each = [mean_share(correct_shares(distances, step / steps)[0]) for step in range(steps)]
    return float(np.mean(each))


def groups_of(names: Sequence[str]) -> dict[str, list[int]]:
    """Points by their name without its side: left and right ankle are the ankles.

    >>> groups_of(['left_eye', 'nose', 'right_eye'])
    {'eye': [0, 2], 'nose': [1]}
    """
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        plain = name
        for side in _SIDES:
            plain = plain.removeprefix(side)
        groups.setdefault(plain, []).append(index)
    return groups


def pck_values(
    distances: Floats,
    thresholds: Sequence[float],
    name: str = 'PCK',
    groups: Mapping[str, Sequence[int]] | None = None,
    by_points: bool = False,
) -> dict[str, float]:
    """All values of a set, in percent.

    Args:
        distances: ``[N, K]``, of the points that count.
        thresholds: in lengths.
        name: how the values are called.
        groups: points by group, for values of their own at the first threshold.
        by_points: which mean ``PCK@0.5`` is, that over all points or that over the names.

    Returns:
        ``PCK@0.5_names`` is the mean over the names of points, ``PCK@0.5_points`` the share of all
        points (a name weighs as often as it occurs), ``PCK@0.5`` one of both; ``PCK/ankle`` the
        share of the points of a group; ``PCK_AUC`` see :func:`mean_over_thresholds`.
    """
    values: dict[str, float] = {}
    for threshold in thresholds:
        shares, counts = correct_shares(distances, threshold)
        means = {'names': mean_share(shares), 'points': mean_share(shares, counts)}
        key = f'{name}@{threshold:g}'
        values[key] = means['points' if by_points else 'names']
        values |= {f'{key}_{kind}': value for kind, value in means.items()}
    values[f'{name}_AUC'] = mean_over_thresholds(distances)
    shares, counts = correct_shares(distances, thresholds[0])
    for group, members in (groups or {}).items():
        index = list(members)
        values[f'{name}/{group}'] = mean_share(shares[index], counts[index])
    return {key: 100 * value for key, value in values.items()}
