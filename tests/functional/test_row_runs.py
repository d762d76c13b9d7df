"""Runs of label maps: by hand, and against a pixel loop."""

import numpy as np
import pytest

from mmext.functional.row_runs import group_extents, row_runs


def test_runs_end_with_the_row() -> None:
    starts, lengths = row_runs(np.array([[1, 1, 2], [2, 2, 2]]))
    assert starts.tolist() == [0, 2, 3]
    assert lengths.tolist() == [2, 1, 3]


def test_runs_of_two_maps_are_constant_in_both() -> None:
    starts, _ = row_runs(np.array([[1, 1, 1, 1]]), np.array([[0, 0, 5, 5]]))
    assert starts.tolist() == [0, 2]


def test_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        shape = tuple(rng.integers(1, 9, 2))
        first, second = rng.integers(0, 3, (2, *shape))
        starts, lengths = row_runs(first, second)
        expected = []
        for y in range(shape[0]):
            for x in range(shape[1]):
                pair = first[y, x], second[y, x]
                if x and pair == (first[y, x - 1], second[y, x - 1]):
                    expected[-1][1] += 1
                else:
                    expected.append([y * shape[1] + x, 1])
        assert np.stack([starts, lengths], axis=1).tolist() == expected


@pytest.mark.parametrize('shape', [(0, 0), (0, 4), (4, 0)])
def test_no_pixel_no_run(shape: tuple[int, int]) -> None:
    starts, lengths = row_runs(np.zeros(shape, int))
    assert len(starts) == len(lengths) == 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r'\(2, 3\), \(3, 2\)'):
        row_runs(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match='expected one shape'):
        row_runs(np.zeros(3))


def test_extents_are_tight() -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 5, (9, 12))
    groups[groups == 3] = 0  # a group without a pixel
    starts, lengths = row_runs(groups)
    extents = group_extents(starts, lengths, groups.ravel()[starts], 5, 12)
    for group in (0, 1, 2, 4):
        ys, xs = np.nonzero(groups == group)
        assert extents[group].tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert extents[3, 0] > extents[3, 2]
