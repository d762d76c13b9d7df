import numpy as np
import pytest

from mmext.centernet.image_warp import (
    centering_matrix,
    central_margin,
    color_matrix,
    flip_matrix,
    random_warp,
    warp_boxes,
)


def at(matrix: np.ndarray, x: float, y: float) -> list[float]:
    return (matrix @ [x, y, 1])[:2].tolist()


def test_the_square_fills_the_width() -> None:
    matrix = centering_matrix((100, 50), 80, (40, 20))
    assert at(matrix, 100, 50) == [20, 10]
    assert at(matrix, 60, 50) == [0, 10]
    assert at(matrix, 140, 70) == [40, 20]
    with pytest.raises(ValueError, match='side_px: expected more than 0, got 0'):
        centering_matrix((0, 0), 0, (4, 4))


def test_flip() -> None:
    matrix = flip_matrix(10)
    assert at(matrix, 0, 3) == [9, 3]
    assert np.array_equal(matrix @ matrix, np.eye(3))


@pytest.mark.parametrize(
    ('size', 'expected'), [(2000, 128), (257, 128), (256, 64), (129, 64), (100, 32), (2, 0), (3, 1)]
)
def test_central_margin(size: int, expected: int) -> None:
    assert central_margin(size) == expected
    assert size - expected > expected


@pytest.mark.parametrize('image', [(640, 480), (30, 500), (1, 1)])
def test_random_warps_keep_the_margin_and_the_scales(image: tuple[int, int]) -> None:
    rng, scales = np.random.RandomState(0), np.array([0.6, 0.7, 1.3])
    seen = set()
    for _ in range(60):
        matrix = random_warp(rng, image, (128, 64), scales)
        scale = 128 / matrix[0, 0] / max(image)
        seen.add(round(scale, 3))
        x, y = np.linalg.solve(matrix, [64, 32, 1])[:2]
        for center, side in ((x, image[0]), (y, image[1])):
            margin = central_margin(side)
            assert margin - 1e-6 <= center <= max(margin, side - margin)
    assert seen == {0.6, 0.7, 1.3}


def test_warp_boxes() -> None:
    matrix = centering_matrix((10, 10), 20, (40, 40)) @ flip_matrix(21)
    boxes = np.array([[1.0, 2, 5, 6], [0, 0, 20, 20]])
    expected = [[30, 4, 38, 12], [0, 0, 40, 40]]
    assert warp_boxes(boxes, matrix).tolist() == expected
    assert warp_boxes(np.zeros((0, 4)), matrix).shape == (0, 4)


def jittered_by_steps(
    rng: np.random.RandomState, image: np.ndarray, strength: float, lighting: float
) -> np.ndarray:
    """Step by step on an RGB image, as both CenterNets do it."""
    gray = image @ [0.299, 0.587, 0.114]
    blended = {
        'brightness': 0 * image,
        'contrast': 0 * image + gray.mean(),
        'saturation': 0 * image + gray[..., None],
    }
    changed = image
    for name in rng.permutation(list(blended)):
        factor = 1 + rng.uniform(-strength, strength)
        changed = factor * changed + (1 - factor) * blended[name]
    axes = np.array(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )
    return changed + axes @ (rng.normal(0, lighting, 3) * [55.4625, 4.7940, 1.1475])


@pytest.mark.parametrize('seed', range(5))
def test_color_matrix_equals_the_steps(seed: int) -> None:
    image = np.random.RandomState(9).uniform(0, 255, (6, 7, 3))
    mean = float((image @ [0.299, 0.587, 0.114]).mean())
    matrix = color_matrix(np.random.RandomState(seed), mean)
    found = np.concatenate([image, np.ones((6, 7, 1))], 2) @ matrix.T
    expected = jittered_by_steps(np.random.RandomState(seed), image, 0.4, 0.1)
    assert np.allclose(found, expected)
    same = color_matrix(np.random.RandomState(seed), mean, 0.0, 0.0)
    assert np.allclose(same, np.eye(3, 4))
