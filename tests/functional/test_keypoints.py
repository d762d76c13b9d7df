"""Geometry of points against plain loops over single points."""

import math
import random

import numpy as np
import pytest
import torch

from mmext.functional.keypoints import (
    clamp_points,
    flip_permutation,
    flip_points,
    hide_outside,
    is_inside,
    turns_handedness,
    warp_points,
)

PAIRS = [(0, 1), (3, 4)]


def test_flip_permutation_swaps_pairs_and_keeps_the_rest() -> None:
    permutation = flip_permutation(5, PAIRS)
    assert permutation.tolist() == [1, 0, 2, 4, 3]
    assert permutation[permutation].tolist() == list(range(5))
    assert flip_permutation(3, []).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ('pairs', 'message'),
    [
        ([(0, 5)], r'expected two of 0 to 4, got \(0, 5\)'),
        ([(0, -1)], r'got \(0, -1\)'),
        ([(0, 1, 2)], r'got \(0, 1, 2\)'),
        ([(0, 1), (1, 2)], r'a point of \(1, 2\) is in another pair'),
        ([(0, 1), (0, 1)], 'is in another pair'),
    ],
)
def test_wrong_pairs_are_named(pairs: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        flip_permutation(5, pairs)


@pytest.mark.parametrize('library', ['numpy', 'torch'])
def test_flip_moves_and_renames(library: str) -> None:
    points = np.random.default_rng(0).uniform(-5, 45, (3, 5, 3)).astype(np.float32)
    given = points if library == 'numpy' else torch.from_numpy(points)
    before = points.copy()
    flipped = np.asarray(flip_points(given, 40.0, flip_permutation(5, PAIRS)))
    for face in range(3):
        for new, old in enumerate([1, 0, 2, 4, 3]):
            x, y, z = before[face, old]
            np.testing.assert_allclose(flipped[face, new], [40 - x, y, z], rtol=1e-6)
    np.testing.assert_array_equal(points, before)
    again = flip_points(flipped, 40.0, flip_permutation(5, PAIRS))
    np.testing.assert_allclose(again, before, atol=1e-5)


@pytest.mark.parametrize('seed', range(20))
def test_warp_equals_a_loop_over_points(seed: int) -> None:
    draw = random.Random(seed)
    matrix = [[draw.uniform(-2, 2) for _ in range(3)] for _ in range(2)] + [[0.0, 0.0, 1.0]]
    (a, b, c), (d, e, f) = matrix[:2]
    determinant = a * e - b * d
    points = np.random.default_rng(seed).uniform(-50, 50, (4, 5, 3)).astype(np.float32)
    names = [1, 0, 2, 4, 3] if determinant < 0 else [0, 1, 2, 3, 4]
    expected = np.empty_like(points)
    for face in range(4):
        for point in range(5):
            x, y, z = (float(v) for v in points[face, names[point]])
            expected[face, point] = (
                a * x + b * y + c, d * x + e * y + f, z * math.sqrt(abs(determinant))
            )  # fmt: skip
    warped = warp_points(points, np.array(matrix), flip_permutation(5, PAIRS))
    assert warped.dtype == np.float32
    np.testing.assert_allclose(warped, expected, rtol=1e-4, atol=1e-4)
    assert turns_handedness(np.array(matrix)) == (determinant < 0)
    unnamed = warp_points(points, np.array(matrix))
    np.testing.assert_allclose(unnamed[:, names], warped, rtol=1e-5)


def test_warp_of_nothing_and_of_a_projective_map() -> None:
    assert warp_points(np.zeros((0, 5, 2), np.float32), np.eye(3)).shape == (0, 5, 2)
    with pytest.raises(ValueError, match='expected an affine map'):
        warp_points(np.zeros((1, 5, 2), np.float32), np.array([[1, 0, 0], [0, 1, 0], [0.1, 0, 1]]))


@pytest.mark.parametrize(
    ('last_row', 'is_affine'),
    [
        ((9e-7, -9e-7, 1 - 1e-5), True),
        ((2e-6, 0, 1), False),  # of an image of 1000 px, it moves points by 2 px
        ((0, -2e-6, 1), False),
        ((0, 0, 1 + 1.2e-5), False),
        ((0, 0, float('nan')), False),
    ],
)
def test_how_nearly_affine_a_map_must_be(
    last_row: tuple[float, float, float], is_affine: bool
) -> None:
    points = np.ones((1, 2, 2), np.float32)
    matrix = np.array([[1, 0, 3], [0, 1, 4], last_row])
    if is_affine:
        assert warp_points(points, matrix).tolist() == [[[4, 5], [4, 5]]]
    else:
        with pytest.raises(ValueError, match='expected an affine map'):
            warp_points(points, matrix)


def test_vertical_mirror_renames_and_half_turn_does_not() -> None:
    points = np.array([[[1, 2], [3, 4]]], np.float32)
    swap = flip_permutation(2, [(0, 1)])
    upside_down = warp_points(points, np.array([[1, 0, 0], [0, -1, 10.0], [0, 0, 1]]), swap)
    assert upside_down.tolist() == [[[3, 6], [1, 8]]]
    turned = warp_points(points, np.array([[-1, 0, 10.0], [0, -1, 10.0], [0, 0, 1]]), swap)
    assert turned.tolist() == [[[9, 8], [7, 6]]]


def test_outside() -> None:
    points = np.array([[[-1, 2], [0, 0], [8, 5], [8.1, 5], [3, 5.5]]], np.float32)
    visible = np.array([[2, 1, 2, 2, 1]], np.float32)
    assert is_inside(points, (5, 8)).tolist() == [[False, True, True, False, False]]
    assert hide_outside(points, visible, (5, 8)).tolist() == [[0, 1, 2, 0, 0]]
    clamped = clamp_points(points, (5, 8))
    assert clamped.tolist() == [[[0, 2], [0, 0], [8, 5], [8, 5], [3, 5]]]
    assert visible.tolist() == [[2, 1, 2, 2, 1]]
    assert points[0, 0, 0] == -1
