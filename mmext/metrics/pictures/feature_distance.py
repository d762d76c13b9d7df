"""How far two sets of pictures are apart, by features of a network that the user chooses.

The numbers depend on the network: name it beside them, and compare only those of one.

Sources: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium", NeurIPS 2017 (the distance of two Gaussians); Binkowski et al., "Demystifying MMD
GANs", ICLR 2018 (the unbiased kernel distance).

Shape legend: N pictures, D features of each.
"""

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError

Floats = NDArray[np.float64]


class FeatureSums:
    """Number, sum and sum of products of feature vectors: what a Gaussian is made of.

    It takes ``D (D + 1)`` numbers however many pictures are added; neither order nor shards matter.
    """

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self.total: Floats = np.zeros(dimensions)
        self.products: Floats = np.zeros((dimensions, dimensions))

    def add(self, features: np.ndarray) -> None:
        """Take in ``[N, D]``."""
        values = np.asarray(features, np.float64)
        self.count += len(values)
        self.total += values.sum(0)
        self.products += values.T @ values

    def merge(self, other: 'FeatureSums') -> None:
        """Take in what another one was given."""
        self.count += other.count
        self.total += other.total
        self.products += other.products

    def gaussian(self) -> tuple[Floats, Floats]:
        """Mean ``[D]`` and covariance ``[D, D]``, divided by N - 1.

        Raises:
            InputError: fewer than two pictures.
        """
        if self.count < 2:
            raise InputError(f'a distance of sets needs two pictures at least, got {self.count}')
        mean = self.total / self.count
        spread = self.products - self.count * np.outer(mean, mean)
        return mean, spread / (self.count - 1)


def frechet_distance(ours: FeatureSums, theirs: FeatureSums) -> float:
    """FID: ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` of two Gaussians.

    It is too large for few pictures, more so than for many: compare sets of equal size. The trace
    of the root is the sum of the roots of the eigenvalues of ``S1^(1/2) S2 S1^(1/2)``, which is
    symmetric.

    Raises:
        InputError: fewer than two pictures in a set.
    """
    mean_ours, spread_ours = ours.gaussian()
    mean_theirs, spread_theirs = theirs.gaussian()
    values, vectors = np.linalg.eigh(spread_ours)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ spread_theirs @ root), 0, None)).sum()
    apart = np.square(mean_ours - mean_theirs).sum()
    return float(apart + np.trace(spread_ours) + np.trace(spread_theirs) - 2 * shared)


def kernel_distance(
    ours: np.ndarray, theirs: np.ndarray, subsets: int = 100, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """KID: the unbiased squared distance by the kernel ``(x y / D + 1)^3``.

    It does not depend on the number of pictures but for chance, and may be below 0.

    Args:
        ours: ``[N, D]``.
        theirs: ``[M, D]``.
        subsets: how many random subsets are compared.
        size: pictures of a subset, at most the smaller set.
        seed: of the subsets.

    Returns:
        Mean and deviation over the subsets. Where both sets are no larger than a subset it is one
        comparison of all, whose deviation is 0.

    Raises:
        InputError: fewer than two pictures in a set.
    """
    if min(len(ours), len(theirs)) < 2:
        raise InputError(
            f'a distance of sets needs two pictures at least, got {len(ours)} and {len(theirs)}'
        )
    size = min(size, len(ours), len(theirs))
    if size == len(ours) == len(theirs):
        return _squared_distance(np.asarray(ours, np.float64), np.asarray(theirs, np.float64)), 0.0
    rng = np.random.default_rng(seed)
    values = [
        _squared_distance(
            *(
                np.asarray(each[rng.choice(len(each), size, replace=False)], np.float64)
                for each in (ours, theirs)
            )
        )
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def _squared_distance(x: Floats, y: Floats) -> float:
    within = []
    for each in (x, y):
        kernel = _kernel(each, each)
        count = len(each)
        within.append((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))
    return float(sum(within) - 2 * _kernel(x, y).mean())


def _kernel(x: Floats, y: Floats) -> Floats:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)


class Sample:
    """At most ``size`` feature vectors, each of those seen with equal probability.

    The draws are of the seed and of the order in which the vectors come (Vitter, "Random Sampling
    with a Reservoir", ACM TOMS 1985).
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.seen = size, 0
        self.kept: list[np.ndarray] = []
        self._rng = np.random.default_rng(seed)

    def add(self, features: np.ndarray) -> None:
        """Take in ``[N, D]``."""
        for vector in features:
            self.seen += 1
            if len(self.kept) < self.size:
                self.kept.append(vector)
            elif (place := int(self._rng.integers(self.seen))) < self.size:
                self.kept[place] = vector
