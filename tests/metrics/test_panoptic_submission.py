"""Resampling of count tables against a plain loop; what is refused is tested with the tool."""

import numpy as np
import pytest

from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic.read_results import interval, resampled_quality


def random_counts(num_images: int = 40, num_classes: int = 5, seed: int = 0) -> np.ndarray:
    """Count tables in which some classes are rare and the last never occurs."""
    rng = np.random.default_rng(seed)
    tp, fp, fn = rng.poisson(0.3, (3, num_images, num_classes))
    tp[:, -1] = fp[:, -1] = fn[:, -1] = 0
    return np.stack([tp * rng.uniform(0.5, 1, tp.shape), tp, fp, fn], axis=1)


def test_equals_the_quality_of_drawn_images() -> None:
    counts = random_counts(num_images=4)
    rng = np.random.default_rng(7)
    expected = []
    for _ in range(30):
        drawn = np.repeat(counts, rng.multinomial(4, [0.25] * 4), axis=0)
        assert len(drawn) == 4
        expected.append(pq.panoptic_quality(drawn.sum(axis=0), [True] * 5)['PQ'])
    np.testing.assert_allclose(resampled_quality(counts, 30, seed=7), expected, rtol=1e-12)


def test_where_nothing_occurs_there_is_no_quality() -> None:
    assert np.isnan(resampled_quality(np.zeros((3, 4, 2)), 5)).all()


def test_the_interval_holds_the_quality_and_narrows_with_images() -> None:
    widths = []
    for num_images in (40, 640):
        counts = random_counts(num_images)
        low, high = interval(resampled_quality(counts))
        assert low < pq.panoptic_quality(counts.sum(axis=0), [True] * 5)['PQ'] < high
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)  # as the root of their number


def test_a_difference_of_the_same_images_is_surer_than_two_qualities() -> None:
    counts = random_counts(200)
    better = counts.copy()
    better[:, 0] = np.minimum(better[:, 0] * 1.02, better[:, 1])
    both = [resampled_quality(c) for c in (counts, better)]
    low, high = interval(both[1] - both[0])
    assert 0 < low < high < 2
    assert interval(both[1]).low < interval(both[0]).high  # alone they tell nothing
