"""The nearest of many vectors, and the strongest places of many channels, in bounded memory.

Both run over blocks and keep the best so far, so the results are exact and do not depend on the
size of the blocks. Of equal values the earlier one wins.

Shape legend: N vectors of D numbers, Q queries, k results, C channels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
_BLOCK_BYTES = 32 * 2**20


class VectorFile:
    """Vectors ``[N, D]`` in a file of float16, read where they are asked for.

    A memory map would do, but its pages stay in the memory of the process.

    Args:
        path: of the file.
        count: N.
        width: D.
    """

    def __init__(self, path: Path, count: int, width: int) -> None:
        self.path, self.shape = path, (count, width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Sequence[int]) -> npt.NDArray[np.float16]:
        """The vectors of a range without steps, or of some rows."""
        count, width = self.shape
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(count)
            size, offset = max(stop - start, 0) * width, 2 * start * width
            return np.fromfile(self.path, np.float16, size, offset=offset).reshape(-1, width)
        if not len(rows):
            return np.zeros((0, width), np.float16)
        whole = np.memmap(self.path, np.float16, 'r', shape=self.shape)
        return np.array(whole[list(rows)])


def nearest_rows(
    vectors: Floats | VectorFile,
    queries: Floats,
    k: int,
    left_out: Sequence[Sequence[int]] = (),
    wanted: npt.NDArray[np.bool_] | None = None,
) -> tuple[Ints, Floats]:
    """The rows with the largest dot products with each query.

    Args:
        vectors: ``[N, D]`` of any float type; only blocks of it are read.
        queries: ``[Q, D]``.
        k: how many; fewer come back where there are fewer.
        left_out: ``[Q]``, rows that each query does not want; empty: none.
        wanted: ``[N]``, rows that can be found at all; None: all.

    Returns:
        Rows ``[Q, k']``, best first, and their products ``[Q, k']``. A query that finds less
        than the others gets row -1 and -inf at the end.

    Raises:
        ValueError: the lengths of the vectors differ, or k is below 1.
    """
    if queries.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise ValueError(f'queries: expected [Q, {vectors.shape[1]}], got {list(queries.shape)}')
    queries = np.asarray(queries, np.float32)
    return best_rows(vectors, lambda block: queries @ block.T, len(queries), k, left_out, wanted)


def best_rows(
    vectors: Floats | VectorFile,
    score: Callable[[Floats], Floats],
    count: int,
    k: int,
    left_out: Sequence[Sequence[int]] = (),
    wanted: npt.NDArray[np.bool_] | None = None,
) -> tuple[Ints, Floats]:
    """The rows with the largest scores.

    Args:
        vectors: ``[N, D]``.
        score: of ``[b, D]``: ``[Q, b]``.
        count: Q.
        k: as of :func:`nearest_rows`, which this is with dot products.
        left_out: as there.
        wanted: as there.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f'k: expected 1 or more, got {k}')
    rows: Ints = np.full((count, 0), -1, np.int64)
    products: Floats = np.full((count, 0), -np.inf, np.float32)
    step = max(1, _BLOCK_BYTES // (4 * max(vectors.shape[1] + 2 * count, 1)))
    for start in range(0, len(vectors), step):
        block = np.asarray(vectors[start : start + step], np.float32)
        found = score(block)
        for query, unwanted in enumerate(left_out):
            inside = [row - start for row in unwanted if start <= row < start + len(block)]
            found[query, inside] = -np.inf
        if wanted is not None:
            found[:, ~wanted[start : start + len(block)]] = -np.inf
        here = np.broadcast_to(np.arange(start, start + len(block)), found.shape)
        rows, products = _best(
            np.concatenate([rows, here], 1), np.concatenate([products, found], 1), k
        )
    return np.where(np.isneginf(products), -1, rows), products


def _best(rows: Ints, values: Floats, k: int) -> tuple[Ints, Floats]:
    """The k largest values ``[Q, n]`` of each query and their rows, best first, ties by row."""
    if values.shape[1] > k:
        # all that reach the k-th value stay candidates: ties are decided by row, not by chance
        least = -np.partition(-values, k - 1, axis=1)[:, k - 1]
    else:
        least = np.full(len(values), -np.inf)
    width = min(k, values.shape[1])
    best_rows = np.empty((len(rows), width), np.int64)
    best = np.empty((len(rows), width), np.float32)
    for query in range(len(rows)):
        candidates = np.flatnonzero(values[query] >= least[query])
        order = np.lexsort((rows[query, candidates], -values[query, candidates]))[:width]
        best_rows[query] = rows[query, candidates[order]]
        best[query] = values[query, candidates[order]]
    return best_rows, best


class StrongestPlaces:
    """The k strongest places of each channel over a data set, at most one of an image.

    Args:
        channels: C.
        k: places of each channel.

    Attributes:
        values: ``[C, k]``, best first, -inf where there are fewer.
        images: ``[C, k]``, -1 where there are fewer.
        cells_yx: ``[C, k, 2]``.
    """

    def __init__(self, channels: int, k: int) -> None:
        if channels < 1 or k < 1:
            raise ValueError(f'channels, k: expected 1 or more, got {channels}, {k}')
        self.k = k
        self.values: Floats = np.full((channels, k), -np.inf, np.float32)
        self.images: Ints = np.full((channels, k), -1, np.int64)
        self.cells_yx: Ints = np.zeros((channels, k, 2), np.int64)

    def add(self, image: int, activations: Floats) -> None:
        """Take in the activations ``[C, h, w]`` of an image; the images come in rising order."""
        flat = activations.reshape(len(activations), -1)
        place = flat.argmax(1)  # [C]
        strongest = np.take_along_axis(flat, place[:, None], 1)
        cells = np.stack(np.unravel_index(place, activations.shape[1:]), 1)[:, None]  # [C, 1, 2]
        values = np.concatenate([self.values, strongest], 1)
        order = np.argsort(-values, axis=1, kind='stable')[:, : self.k]
        images = np.concatenate([self.images, np.full((len(flat), 1), image)], 1)
        self.values = np.take_along_axis(values, order, 1)
        self.images = np.take_along_axis(images, order, 1)
        self.cells_yx = np.take_along_axis(
            np.concatenate([self.cells_yx, cells], 1), order[..., None], 1
        )
