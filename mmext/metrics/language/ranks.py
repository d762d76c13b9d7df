"""Ranks of what is looked for: recall at k, median and mean rank, precision at k.

Protocols: Faghri et al. 2018 (VSE++: recall at 1, 5, 10, ``MedR = floor(median) + 1``, sum of the
recalls) and Karpathy's folds of 1000 images. Ties: an item that is looked for stands behind all
others of an equal score (the published programs depend on the order of a sort).

Shape legend: Q queries, G items of the gallery, D numbers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
_BLOCK_BYTES = 32 * 2**20
RECALLS = (1, 5, 10)


def first_ranks(queries: Floats, gallery: Floats, query_ids: Ints, gallery_ids: Ints) -> Ints:
    """The rank of the best relevant item of each query, from 0.

    An item is relevant if its id is that of the query.

    Args:
        queries: ``[Q, D]``.
        gallery: ``[G, D]``.
        query_ids: ``[Q]``.
        gallery_ids: ``[G]``.

    Returns:
        ``[Q]``: how many others score as high or higher; -1 without a relevant item.
    """
    order = np.argsort(gallery_ids, kind='stable')
    ids = gallery_ids[order]
    starts, ends = (np.searchsorted(ids, query_ids, side) for side in ('left', 'right'))
    ranks: Ints = np.full(len(query_ids), -1, np.int64)
    for block, scores in score_blocks(queries, gallery[order]):
        for row in range(len(scores)):
            start, end = starts[block + row], ends[block + row]
            if start < end:
                own = scores[row, start:end]
                best = own.max()
                as_high = np.count_nonzero(scores[row] >= best) - np.count_nonzero(own >= best)
                ranks[block + row] = as_high
    return ranks


def score_blocks(queries: Floats, gallery: Floats) -> Iterator[tuple[int, Floats]]:
    """Dot products ``[b, G]`` of some queries ``[Q, D]`` at a time, each with its first query."""
    step = max(1, _BLOCK_BYTES // (4 * max(len(gallery), 1)))
    turned = np.ascontiguousarray(np.asarray(gallery, np.float32).T)
    for start in range(0, len(queries), step):
        yield start, np.asarray(queries[start : start + step], np.float32) @ turned


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


def precision_values(
    queries: Floats,
    gallery: Floats,
    query_ids: Ints,
    gallery_ids: Ints,
    at: Sequence[int] = (1, 10),
    left_out: Ints | None = None,
) -> dict[str, float]:
    """Precision at k and mean average precision, in percent, for queries that many items answer.

    Args:
        queries: ``[Q, D]``.
        gallery: ``[G, D]``.
        query_ids: ``[Q]``.
        gallery_ids: ``[G]``; an item is relevant if it has the id of the query.
        at: the ks.
        left_out: ``[Q]``, the item that each query is itself; None: none.

    Returns:
        ``P@k`` and ``mAP``; queries without a relevant item are left out; nan without queries.
    """
    precisions: list[list[float]] = []
    averages: list[float] = []
    for block, scores in score_blocks(queries, gallery):
        for row, values in enumerate(scores):
            relevant = gallery_ids == query_ids[block + row]
            if left_out is not None:
                kept = np.arange(len(gallery)) != left_out[block + row]
                values, relevant = values[kept], relevant[kept]
            if relevant.any():
                hits = relevant[np.lexsort((relevant, -values))]  # of equal scores, others first
                places = np.flatnonzero(hits)
                averages.append(float(np.mean(np.arange(1, len(places) + 1) / (places + 1))))
                precisions.append([float(hits[:k].mean()) for k in at])
    if not averages:
        return {**{f'P@{k}': float('nan') for k in at}, 'mAP': float('nan')}
    means = np.mean(precisions, axis=0)
    return {
        **{f'P@{k}': 100 * float(mean) for k, mean in zip(at, means, strict=True)},
        'mAP': 100 * float(np.mean(averages)),
    }
