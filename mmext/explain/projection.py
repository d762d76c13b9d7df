"""Vectors on a plane: PCA, t-SNE, and how far to trust the picture.

Sources: van der Maaten 2008 (t-SNE), Venna 2001 (trustworthiness); scikit-learn's.

Shape legend: N vectors of D numbers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError, MissingPackageError

PROJECTIONS = ('tsne', 'pca')
_FIRST_DIMENSIONS, _NEIGHBORS = 50, 10


class Plane(NamedTuple):
    """Vectors on a plane.

    Attributes:
        points_xy: ``[N, 2]``, 0 to 1.
        trustworthiness: 0 to 1: 1 if no far vectors have become neighbors.
    """

    points_xy: npt.NDArray[np.float64]
    trustworthiness: float


def project(vectors: npt.NDArray[Any], kind: str, seed: int) -> Plane:
    """Put vectors on a plane.

    Args:
        vectors: ``[N, D]``, at least 5.
        kind: 'tsne' (of the first 50 principal directions) or 'pca'.
        seed: of t-SNE.

    Raises:
        InputError: too few vectors, or no such kind.
    """
    if kind not in PROJECTIONS:
        raise InputError(f'--projection {kind}: expected one of {", ".join(PROJECTIONS)}')
    if len(vectors) < 5:
        raise InputError(f'{len(vectors)} objects: a plot needs 5 at least')
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE, trustworthiness
    except ImportError as error:
        raise MissingPackageError(
            "plots need the package scikit-learn: pip install 'mmext[explain]'"
        ) from error
    full = np.asarray(vectors, np.float64)
    first = min(_FIRST_DIMENSIONS, *full.shape)
    points = PCA(first, svd_solver='full').fit_transform(full)
    if kind == 'pca':
        flat = points[:, :2]
    else:
        perplexity = min(30.0, (len(full) - 1) / 3)
        flat = TSNE(
            perplexity=perplexity, init='pca', random_state=seed, learning_rate='auto'
        ).fit_transform(points)
    neighbors = min(_NEIGHBORS, (len(full) - 1) // 2)
    trust = float(trustworthiness(full, flat, n_neighbors=neighbors))
    low, high = flat.min(0), flat.max(0)
    return Plane((flat - low) / np.where(high > low, high - low, 1.0), trust)


def sampled(groups: Sequence[str], most: int, seed: int) -> npt.NDArray[np.int64]:
    """At most so many of N objects, of each group in proportion, in their order.

    Args:
        groups: N names.
        most: objects.
        seed: of the draw.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    generator = np.random.default_rng(seed)
    names = np.array(groups)
    kept = []
    for name in dict.fromkeys(groups):
        rows = np.flatnonzero(names == name)
        kept.append(generator.permutation(rows)[: max(1, round(len(rows) * most / len(groups)))])
    return np.sort(np.concatenate(kept))


def spread_out(points_xy: npt.NDArray[np.float64], distance: float, most: int) -> list[int]:
    """Points ``[N, 2]`` none of which are nearer to each other than a distance, in their order."""
    kept: list[int] = []
    for number, point in enumerate(points_xy):
        if all(np.abs(points_xy[k] - point).max() >= distance for k in kept):
            kept.append(number)
            if len(kept) == most:
                break
    return kept
