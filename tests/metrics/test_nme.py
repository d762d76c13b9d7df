"""Landmark errors against loops over faces and points."""

import math

import numpy as np
import pytest

from mmext.metrics.landmarks.nme import (
    area_under_curve,
    check_normalizer,
    face_lengths,
    failure_rate,
    match_by_box,
    normalized_errors,
    pooled_error,
    summarize,
)


def random_faces(seed: int, count: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0, 30, (count, 2))], axis=1)
    return boxes, rng.uniform(0, 90, (count, 5, 2)), rng.integers(0, 3, (count, 5))


def plain_iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize('seed', range(20))
def test_matching_equals_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    faces, _, _ = random_faces(seed, int(rng.integers(0, 8)))
    near = np.concatenate([faces, faces]) + rng.normal(0, 2, (2 * len(faces), 4))
    boxes = np.concatenate([near, rng.uniform(0, 90, (3, 4))])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    scores = rng.integers(0, 5, len(boxes)) / 4
    expected = [-1] * len(faces)
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        overlaps = [plain_iou(boxes[index].tolist(), face) for face in faces.tolist()]
        if overlaps and max(overlaps) >= 0.5 and expected[overlaps.index(max(overlaps))] < 0:
            expected[overlaps.index(max(overlaps))] = index
    assert match_by_box(boxes, scores, faces).tolist() == expected


@pytest.mark.parametrize('seed', range(10))
@pytest.mark.parametrize(
    'normalizer', ['box_size', 'box_diagonal', 'box_height', 'box_width', (0, 1), (4, 2)]
)
def test_errors_equal_a_loop(normalizer: str | tuple[int, int], seed: int) -> None:
    boxes, points, visible = random_faces(seed)
    boxes[0, 2:] = boxes[0, :2]  # no area
    points[1, 0] = points[1, 1]  # no distance
    predicted = points + np.random.default_rng(seed).normal(0, 2, points.shape)
    lengths = face_lengths(normalizer, boxes, points, visible)
    errors = normalized_errors(predicted, points, visible, lengths)
    for face in range(len(boxes)):
        x1, y1, x2, y2 = boxes[face]
        if isinstance(normalizer, tuple):
            first, second = normalizer
            length = math.dist(points[face, first], points[face, second])
            if not (visible[face, first] and visible[face, second]):
                length = 0.0
        else:
            length = {
                'box_size': math.sqrt((x2 - x1) * (y2 - y1)),
                'box_diagonal': math.hypot(x2 - x1, y2 - y1),
                'box_height': y2 - y1,
                'box_width': x2 - x1,
            }[normalizer]
        known = [p for p in range(5) if visible[face, p]]
        if not known or length == 0:
            assert math.isnan(errors[face])
            continue
        total = sum(math.dist(predicted[face, p], points[face, p]) for p in known)
        assert errors[face] == pytest.approx(total / len(known) / length)


def test_by_hand() -> None:
    errors = np.array([0.0, 0.05, 0.1, 0.2])
    assert failure_rate(errors, 0.1) == 0.25
    # the curve: 1/4 from 0, 2/4 from .05, 3/4 from .1 on
    assert area_under_curve(errors, 0.1) == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    values = summarize(errors, 8, 0.1)
    assert values == pytest.approx(
        {'NME': 8.75, 'failure_rate': 25, 'AUC': 37.5, 'found': 50, 'failure_rate_all': 62.5,
         'AUC_all': 18.75, 'NME_q50': 7.5}
    )  # fmt: skip


def test_the_mean_over_points_is_another_one_where_visibility_differs() -> None:
    """Errors 0, 5, 0 by 10 and 0, 2 (one hidden) by 4: .2 over points, .208333 over faces."""
    errors, counts = np.array([5 / 3 / 10, 1 / 4]), np.array([3, 2])
    assert pooled_error(errors, counts) == pytest.approx(0.2)
    values = summarize(errors, 2, 0.1, counts=counts)
    assert (values['NME_points'], values['NME']) == pytest.approx((20, 20.8333), abs=1e-4)
    assert math.isnan(pooled_error(np.zeros(0), np.zeros(0, np.int64)))


@pytest.mark.parametrize('seed', range(4))
def test_area_equals_a_fine_grid(seed: int) -> None:
    errors = np.random.default_rng(seed).gamma(2, 0.03, 50)
    grid = (np.arange(20000) + 0.5) / 20000 * 0.1
    shares = [(errors <= e).mean() for e in grid]
    assert area_under_curve(errors, 0.1) == pytest.approx(np.mean(shares), abs=1e-4)


def test_nothing_found_and_nothing_there() -> None:
    none = np.zeros(0)
    missed = summarize(none, 3, 0.1)
    assert (missed['found'], missed['failure_rate_all'], missed['AUC_all']) == (0, 100, 0)
    assert math.isnan(missed['NME'])
    assert all(math.isnan(v) for v in summarize(none, 0, 0.1).values())
    assert match_by_box(np.zeros((0, 4)), none, np.ones((2, 4))).tolist() == [-1, -1]
    assert match_by_box(np.ones((2, 4)), np.ones(2), np.zeros((0, 4))).tolist() == []


@pytest.mark.parametrize('normalizer', ['eyes', (0,), (0, 1, 2)])
def test_unknown_normalizers(normalizer: str | tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='two points or two sets of points, got'):
        check_normalizer(normalizer)


def test_points_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match=r'expected points 0 to 4, got \(\(0,\), \(5,\)\)'):
        face_lengths((0, 5), *random_faces(0))
