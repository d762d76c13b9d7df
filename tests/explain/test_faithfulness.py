"""Measures of maps against cases by hand and an independent implementation."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from mmext.explain import faithfulness as measure


def test_energy_and_pointing_by_hand() -> None:
    heat = np.array([[0.0, 1], [2, 3]])
    corner = np.array([[False, False], [False, True]])
    assert measure.energy(heat, corner) == 0.5
    assert measure.points_at(heat, corner)
    assert not measure.points_at(heat, ~corner)
    assert not measure.points_at(np.ones((2, 2)), corner), 'a constant map points nowhere'
    assert measure.times_area(np.ones((2, 2)), corner) == 1
    assert measure.energy(np.zeros((2, 2)), corner) == 0
    assert measure.energy(-heat, corner) == 0


def test_energy_on_other_objects() -> None:
    heat = np.array([[4.0, 1, 5]])
    own, other = np.array([[True, False, False]]), np.array([[True, True, False]])
    assert measure.on_others(heat, own, other) == pytest.approx(0.2)
    assert measure.on_others(np.zeros((1, 3)), own, other) == 0


def test_a_map_of_one_pixel_is_compact() -> None:
    heat = np.zeros((9, 9))
    heat[4, 4] = 1
    assert measure.compactness(heat, (0, 0, 9, 9)) == 0
    heat[4, 8] = heat[4, 0] = 1  # 4 px away: twice 16 of 3
    half = (9**2 + 9**2) / 4
    heat[4, 4] = 2
    assert measure.compactness(heat, (0, 0, 9, 9)) == pytest.approx((32 / (4 * half)) ** 0.5)


@pytest.mark.parametrize(('order', 'area'), [((4, 3, 2, 1), 0.375), ((1, 2, 3, 4), 0.625)])
def test_deletion_of_a_sum(order: tuple[int, ...], area: float) -> None:
    remaining = [10 - sum(order[:step]) for step in range(5)]
    assert measure.area_under(remaining, 10) == pytest.approx(area)
    inserted = [sum(order[:step]) for step in range(5)]
    assert measure.area_under(inserted, 10) == pytest.approx(1 - area)


def test_the_order_of_pixels() -> None:
    heat = np.array([[1.0, 3], [0, 3]])
    order = measure.pixel_order(heat)
    assert sorted(order[:2].tolist()) == [1, 3]
    assert order[2:].tolist() == [0, 2]
    constant = measure.pixel_order(np.ones((8, 8)))
    assert constant.tolist() == measure.pixel_order(np.ones((8, 8))).tolist()
    assert constant.tolist() != list(range(64)), 'row by row would delete a shape'


def test_rank_correlation_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, 60).astype(float)
    second = first + rng.normal(size=60)
    expected = spearmanr(first, second).statistic
    assert measure.rank_correlation(first, second) == pytest.approx(expected)
    assert measure.rank_correlation(first, np.ones(60)) == 0


def test_the_control_is_a_bell_in_the_box() -> None:
    bell = measure.gaussian_in_box((20, 30), (4, 6, 24, 16))
    assert bell.max() == pytest.approx(1, abs=0.03)
    mask = measure.box_mask((20, 30), (4, 6, 24, 16))
    assert mask.sum() == 20 * 10
    assert measure.energy(bell, mask) == pytest.approx(0.9545**2, abs=0.01)  # two sigmas each way
    assert measure.points_at(bell, mask)


@pytest.mark.parametrize(('values', 'whole'), [([1.0], 1.0), ([1.0, 0.0], 0.0)])
def test_nothing_to_compare_is_refused(values: list[float], whole: float) -> None:
    with pytest.raises(ValueError, match='above 0'):
        measure.area_under(values, whole)
