"""Ranks of what is looked for: recall at k, median and mean rank, average precision.

Protocols: Faghri et al. 2018 (VSE++: recall at 1, 5, 10, ``MedR = floor(median) + 1``, sum of the
recalls) and Karpathy's folds of 1000 images. Ties: an item that is looked for stands behind all
others of an equal score (the published programs depend on the order of a sort).

Shape legend: Q queries, G items of the gallery, D numbers.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
_BLOCK_BYTES = 32 * 2**20
_BLOCK = 64  # queries at a time: their scores stay in the caches; counted in bytes, so below 256
_PAIRS = 2**16  # products of pairs at a time
_ROUNDING = 1e-6  # of the product of two lengths
RECALLS = (1, 5, 10)


def first_ranks(
    images: Floats, texts: Floats, image_ids: Ints, text_ids: Ints
) -> tuple[Ints, Ints]:
    """The rank of the best relevant text of each image, from 0, and of the best image of each text.

    What has the same id is relevant. A score is as high as another if it falls short of it by less
    than rounding does: products of equal vectors may differ in their last bit from one place of a
    matrix to another. The products are made once for both ways.

    Args:
        images: ``[Q, D]``.
        texts: ``[G, D]``.
        image_ids: ``[Q]``.
        text_ids: ``[G]``.

    Returns:
        ``[Q]`` and ``[G]``: how many others score as high or higher; -1 without a relevant one.
    """
    rows, columns = np.asarray(images, np.float32), np.asarray(texts, np.float32)
    pairs = _relevant_pairs(image_ids, text_ids)
    lowest = _lowest(rows, columns, pairs)
    of_row, of_column = np.zeros(len(rows), np.int64), np.zeros(len(columns), np.int64)
    mask = np.empty((_BLOCK, len(columns)), bool)
    for start, scores in score_blocks(rows, columns, _BLOCK):
        block = slice(start, start + len(scores))
        mine = slice(*np.searchsorted(pairs[0], (block.start, block.stop)))
        own = pairs[0][mine] - start, pairs[1][mine]
        high = np.greater_equal(scores, lowest[0][block, None], out=mask[: len(scores)])
        of_row[block] = [np.count_nonzero(row) for row in high]
        np.subtract.at(of_row, pairs[0][mine], high[own])
        high = np.greater_equal(scores, lowest[1], out=mask[: len(scores)])
        of_column += np.add.reduce(high.view(np.uint8), axis=0, dtype=np.uint8)
        np.subtract.at(of_column, pairs[1][mine], high[own])
    of_row[lowest[0] == -np.inf] = -1
    of_column[lowest[1] == -np.inf] = -1
    return of_row, of_column


def _lowest(rows: Floats, columns: Floats, pairs: tuple[Ints, Ints]) -> tuple[Floats, Floats]:
    """What a score has to reach to be as high as the best relevant one of its row, and column."""
    own = np.empty(len(pairs[0]), np.float32)
    for start in range(0, len(own), _PAIRS):
        part = slice(start, start + _PAIRS)
        own[part] = np.einsum('pd,pd->p', rows[pairs[0][part]], columns[pairs[1][part]])
    lengths = [np.linalg.norm(vectors, axis=1) for vectors in (rows, columns)]
    found = []
    for side, (mine, others) in zip(pairs, (lengths, lengths[::-1]), strict=True):
        best = np.full(len(mine), -np.inf, np.float32)
        np.maximum.at(best, side, own)
        found.append(best - _ROUNDING * mine * others.max(initial=0))
    return found[0], found[1]


def _relevant_pairs(row_ids: Ints, column_ids: Ints) -> tuple[Ints, Ints]:
    """Rows and columns of equal ids, ``[P]`` each, in the order of the rows."""
    order = np.argsort(column_ids, kind='stable')
    ids = column_ids[order]
    starts, ends = (np.searchsorted(ids, row_ids, side) for side in ('left', 'right'))
    counts = ends - starts
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.repeat(np.arange(len(row_ids)), counts)
    return rows, order[np.repeat(starts, counts) + within]


def score_blocks(queries: Floats, gallery: Floats, most: int) -> Iterator[tuple[int, Floats]]:
    """Dot products ``[b, G]`` of some queries ``[Q, D]`` at a time, each with its first query.

    The memory of a block is that of the next one.

    Args:
        queries: ``[Q, D]``.
        gallery: ``[G, D]``.
        most: the largest b, where 32 MB hold as many.
    """
    step = max(1, min(_BLOCK_BYTES // (4 * max(len(gallery), 1)), most))
    turned = np.ascontiguousarray(np.asarray(gallery, np.float32).T)
    block = np.empty((step, len(gallery)), np.float32)
    for start in range(0, len(queries), step):
        some = np.asarray(queries[start : start + step], np.float32)
        yield start, np.matmul(some, turned, out=block[: len(some)])


def retrieval_values(ranks: Ints, prefix: str = '') -> dict[str, float]:
    """Recalls in percent, ``MedR`` and ``MeanR`` of ranks ``[Q]``; those below 0 are left out.

    >>> retrieval_values(np.array([0, 4, 9]))['R@5']
    66.66666666666667
    """
    known = ranks[ranks >= 0]
    if not len(known):
        return {
            f'{prefix}{name}': float('nan')
            for name in (*map('R@{}'.format, RECALLS), 'MedR', 'MeanR')
        }
    values = {
        f'{prefix}R@{k}': 100 * float(np.count_nonzero(known < k)) / len(known) for k in RECALLS
    }
    values[f'{prefix}MedR'] = float(np.floor(np.median(known)) + 1)
    values[f'{prefix}MeanR'] = float(known.mean() + 1)
    return values


def precision_of(scores: Floats, relevant: npt.NDArray[np.bool_]) -> tuple[bool, float]:
    """Whether the best item is relevant, and the average precision, of a query with many answers.

    Args:
        scores: of the items ``[G]``.
        relevant: ``[G]``, at least one.

    >>> precision_of(np.array([4.0, 3, 2, 1]), np.array([True, False, True, False]))
    (True, 0.8333333333333333)
    """
    ranked = relevant[np.lexsort((relevant, -scores))]  # of equal scores, others first
    places = np.flatnonzero(ranked)
    return bool(ranked[0]), float(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
