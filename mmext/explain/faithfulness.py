"""Is a map worth anything: where its energy lies, and what its pixels do to the score.

Sources: Zhang 2018 (pointing game), Petsiuk 2018 (deletion and insertion), Zhao 2023 (compactness,
object discrimination, the area of the box as the budget), Adebayo 2018 (randomized weights).

Shape legend: ``H x W`` pixels of the picture; a map is 0 or more.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]


def energy(heat: Map, mask: Mask) -> float:
    """The share of a map ``[H, W]`` that lies in a mask ``[H, W]``, 0 to 1; 0 of an empty map.

    >>> energy(np.array([[0.0, 1], [2, 3]]), np.array([[False, False], [False, True]]))
    0.5
    """
    positive = np.clip(np.asarray(heat, np.float64), 0, None)
    total = positive.sum()
    return float(positive[mask].sum() / total) if total > 0 else 0.0


def points_at(heat: Map, mask: Mask) -> bool:
    """Whether the first highest pixel of a map ``[H, W]`` is in a mask; a constant map misses."""
    if heat.max() <= heat.min():
        return False
    return bool(mask.flat[int(np.argmax(heat))])


def times_area(heat: Map, mask: Mask) -> float:
    """Energy in a mask ``[H, W]`` over the mask's share of the picture: 1 of a uniform map."""
    share = float(mask.mean())
    return energy(heat, mask) / share if share else 0.0


def compactness(heat: Map, box_xyxy: Sequence[float]) -> float:
    """How far a map ``[H, W]`` spreads around its highest pixel, in half diagonals of the box."""
    positive = np.clip(np.asarray(heat, np.float64), 0, None)
    if positive.sum() <= 0:
        return float('inf')
    top, left = np.unravel_index(int(np.argmax(positive)), positive.shape)
    rows, columns = np.indices(positive.shape)
    squared = (rows - top) ** 2 + (columns - left) ** 2
    half = ((box_xyxy[2] - box_xyxy[0]) ** 2 + (box_xyxy[3] - box_xyxy[1]) ** 2) / 4
    return float(np.sqrt((positive * squared).sum() / (half * positive.sum())))


def on_others(heat: Map, own: Mask, others: Mask) -> float:
    """Of the energy on all objects, the share on the others: ODI, 0 to 1, low is good.

    Args:
        heat: ``[H, W]``.
        own: ``[H, W]``, the explained object.
        others: ``[H, W]``, all other objects; what is of both counts as the own.
    """
    on_own, elsewhere = energy(heat, own), energy(heat, others & ~own)
    return elsewhere / (on_own + elsewhere) if on_own + elsewhere > 0 else 0.0


def pixel_order(heat: Map, seed: int = 0) -> npt.NDArray[np.int64]:
    """The pixels of a map ``[H, W]`` from the highest to the lowest, ``[H * W]``.

    Equal ones are in an order drawn from the seed: row by row would delete a shape.
    """
    shuffled = np.random.default_rng(seed).permutation(heat.size)
    return np.asarray(shuffled[np.argsort(-heat.ravel()[shuffled], kind='stable')], np.int64)


def area_under(values: Sequence[float], whole: float) -> float:
    """The area under values at equal steps by the trapezoid rule, over the value of the image.

    Args:
        values: at least 2, from the first step to the last.
        whole: the score of the clean image, above 0.

    Raises:
        ValueError: too few values, or nothing to compare with.

    >>> area_under([10, 6, 3, 1, 0], 10)
    0.375
    """
    if len(values) < 2 or whole <= 0:
        raise ValueError(f'expected 2 values and a score above 0, got {len(values)} and {whole}')
    return float((sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1) / whole)


def rank_correlation(first: Map, second: Map) -> float:
    """Spearman's correlation of two arrays of one shape ``[...]``; 0 where one is constant."""
    ranks = [_ranks(np.asarray(values, np.float64).ravel()) for values in (first, second)]
    ranks = [rank - rank.mean() for rank in ranks]
    length = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum() / length) if length > 0 else 0.0


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((2 * ends - counts - 1) / 2)[inverse], np.float64)


def gaussian_in_box(
    size_hw: tuple[int, int], box_xyxy: Sequence[float], sigmas: float = 4.0
) -> Map:
    """The control: a bell in the middle of the box, which knows nothing but the box.

    Args:
        size_hw: of the map.
        box_xyxy: px.
        sigmas: standard deviations along each side of the box.

    Returns:
        ``[H, W]``, 0 to 1.
    """
    bells = []
    for size, start, end in zip(size_hw, (box_xyxy[1], box_xyxy[0]), (box_xyxy[3], box_xyxy[2]),
                                strict=True):  # fmt: skip
        sigma = max((end - start) / sigmas, 0.5)
        bells.append(np.exp(-(((np.arange(size) + 0.5 - (start + end) / 2) / sigma) ** 2) / 2))
    return np.outer(*bells)


def box_mask(size_hw: tuple[int, int], box_xyxy: Sequence[float]) -> Mask:
    """The pixels whose centers are in a box, ``[H, W]``."""
    rows, columns = (np.arange(size) + 0.5 for size in size_hw)
    in_rows = (rows >= box_xyxy[1]) & (rows < box_xyxy[3])
    in_columns = (columns >= box_xyxy[0]) & (columns < box_xyxy[2])
    return np.asarray(in_rows[:, None] & in_columns, np.bool_)
