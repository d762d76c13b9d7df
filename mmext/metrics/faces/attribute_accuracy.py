"""Accuracy of attributes of which some are unknown.

Shapes: N faces, A attributes, V values of an attribute. A value is a number, -1 = unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError

Ints = NDArray[np.int64]


def confusion(predicted: Ints, ground_truth: Ints, num_values: int) -> Ints:
    """How often each true value (row) was predicted as each value (column).

    Args:
        predicted: ``[N]``.
        ground_truth: ``[N]``; faces of which the value is unknown are left out.
        num_values: V.

    Returns:
        ``[V, V]``.

    Raises:
        InputError: a value is out of range.
    """
    is_known = ground_truth >= 0
    pairs = np.stack([ground_truth[is_known], predicted[is_known]])
    if pairs.size and (pairs.min() < 0 or pairs.max() >= num_values):
        raise InputError(f'expected values 0 to {num_values - 1}, got {pairs.min()}..{pairs.max()}')
    counts = np.bincount(pairs[0] * num_values + pairs[1], minlength=num_values**2)
    return counts.reshape(num_values, num_values)


def attribute_values(
    attributes: Sequence[Mapping[str, Any]], tables: Sequence[Ints]
) -> dict[str, float]:
    """Values in percent, of the attributes of which at least one face is known.

    Args:
        attributes: with ``name``, ``values`` and ``kind``.
        tables: the confusion table ``[V, V]`` of each.

    Returns:
        ``accuracy_{name}``; ``balanced_{name}``, the mean over the true values that occur;
        ``error_{name}`` of ordinal ones, the mean distance in steps (not in percent); and
        ``accuracy``, ``balanced``, the means over the attributes.
    """
    values: dict[str, float] = {}
    accuracies, balanced = [], []
    for attribute, table in zip(attributes, tables, strict=True):
        total = table.sum(axis=1)
        if not total.any():
            continue
        right, name = np.diagonal(table), attribute['name']
        accuracies.append(100 * right.sum() / total.sum())
        balanced.append(100 * np.mean(right[total > 0] / total[total > 0]))
        values[f'accuracy_{name}'] = float(accuracies[-1])
        values[f'balanced_{name}'] = float(balanced[-1])
        if attribute['kind'] == 'ordinal':
            steps = np.abs(np.subtract.outer(np.arange(len(table)), np.arange(len(table))))
            values[f'error_{name}'] = float((steps * table).sum() / total.sum())
    if accuracies:
        values |= {'accuracy': float(np.mean(accuracies)), 'balanced': float(np.mean(balanced))}
    return values
