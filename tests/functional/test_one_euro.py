"""Against the published algorithm, number by number, and what the filter is for."""

import math

import numpy as np
import pytest

from mmext.functional.one_euro import OneEuro, advance, begin


def published(values: list[float], seconds: float, size: float, rule: OneEuro) -> list[float]:
    """One coordinate of one point, as the paper's listing has it."""

    def alpha(cutoff: float) -> float:
        return 1 / (1 + 1 / (2 * math.pi * cutoff) / seconds)

    filtered, speed, results = values[0], 0.0, [values[0]]
    for value in values[1:]:
        a = alpha(rule.speed_cutoff_hz)
        speed = a * (value - filtered) / size / seconds + (1 - a) * speed
        a = alpha(rule.min_cutoff_hz + rule.beta * abs(speed))
        filtered = a * value + (1 - a) * filtered
        results.append(filtered)
    return results


def test_numbers_are_those_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    xs = rng.normal(0, 3, 20).cumsum()
    rule = OneEuro(min_cutoff_hz=0.7, beta=3.0, speed_cutoff_hz=1.5)
    frames = np.stack([xs, np.zeros(20)], 1)[:, None, None]  # [20, 1, 1, 2]
    state, found = begin(frames[0]), [xs[0]]
    for frame in frames[1:]:
        state = advance(state, frame, np.array([40.0]), 1 / 25, rule)
        found.append(state.points[0, 0, 0])
    np.testing.assert_allclose(found, published(xs.tolist(), 1 / 25, 40.0, rule), rtol=1e-12)


def test_rest_is_calm_and_motion_does_not_lag() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1.0, (300, 1, 4, 2))
    moving = noise + 8 * np.arange(300)[:, None, None, None]  # 8 px a frame, a box of 100 px
    for frames, limit in ((noise, 0.5), (moving, 3.0)):
        state, errors = begin(frames[0]), []
        truth = frames - noise
        for frame, true in zip(frames[1:], truth[1:], strict=True):
            state = advance(state, frame, np.array([100.0]), 1 / 25)
            errors.append(state.points - true)
        assert np.abs(np.mean(errors[50:])) < limit
        if frames is noise:
            assert np.std(errors[50:]) < 0.6 * noise.std()


def test_points_that_come_and_go() -> None:
    first = np.array([[[1.0, 2.0], [np.nan, np.nan]]])
    second = np.array([[[np.nan, np.nan], [5.0, 6.0]]])
    state = advance(begin(first), second, np.ones(1), 0.1)
    assert state.points.tolist() == [[[1, 2], [5, 6]]]
    assert np.isfinite(state.speeds).all()
    nothing = begin(np.zeros((0, 3, 2)))
    assert advance(nothing, np.zeros((0, 3, 2)), np.zeros(0), 0.1).points.shape == (0, 3, 2)
    assert first[0, 0].tolist() == [1, 2]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match='points: expected'):
        advance(begin(np.zeros((1, 2, 2))), np.zeros((2, 2, 2)), np.ones(2), 0.1)
    with pytest.raises(ValueError, match='seconds'):
        advance(begin(np.zeros((1, 2, 2))), np.zeros((1, 2, 2)), np.ones(1), 0.0)
