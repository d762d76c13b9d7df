"""Text vectors learned from tags alone: what occurs together is near.

Source: Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", NIPS 2014:
positive pointwise mutual information of pairs, then a truncated SVD with the singular values at
power one half. A set of tags (of a box, of an image, of a caption) is one window.

Deviation: the diagonal counts the tag itself, so that a tag which occurs with nothing has a vector.
The sign of each dimension is that of its largest entry, so the result does not depend on the
machine.

Shape legend: W tags, D numbers.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.language.table import TextTable


def positive_pmi(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """max(0, log p(i, j) / p(i) p(j)) of counts of pairs ``[W, W]``; 0 for no pair."""
    total, ones = counts.sum(), counts.sum(1)
    with np.errstate(divide='ignore', invalid='ignore'):
        values = np.log(counts * total / np.outer(ones, ones))
    return np.where(counts > 0, np.maximum(values, 0.0), 0.0)


def vectors_of_tags(windows: Iterable[Sequence[str]], dim: int = 64) -> TextTable:
    """A vector for each tag.

    Args:
        windows: sets of tags that occur together.
        dim: D at most; no more than there are tags.

    Raises:
        InputError: there is no tag.
    """
    sets = [sorted(set(window)) for window in windows]
    names = sorted({tag for window in sets for tag in window})
    if not names:
        raise InputError('no tags to learn vectors from')
    row_of = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for window in sets:
        rows = [row_of[tag] for tag in window]
        counts[np.ix_(rows, rows)] += 1
    information = positive_pmi(counts)
    information[np.diag_indices(len(names))] += 1e-3  # a tag of every window would be zero
    left, strength, _ = np.linalg.svd(information)
    kept = min(dim, int(np.count_nonzero(strength > 1e-9 * strength[0])))
    vectors = left[:, :kept] * np.sqrt(strength[:kept])
    largest = np.abs(vectors).argmax(0)
    vectors *= np.where(vectors[largest, np.arange(kept)] < 0, -1.0, 1.0)
    return TextTable(
        tuple(names), np.asarray(vectors, np.float32), f'PPMI of {len(sets)} sets of tags'
    )
