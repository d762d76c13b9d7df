"""Recall of proposals against a plain loop, for ragged images."""

import inspect

import numpy as np
import pytest
from mmdet.evaluation import functional
from mmdet.evaluation.metrics import coco_metric

from mmext.errors import InputError
from mmext.host import import_mmdet
from mmext.host_repairs import proposal_recalls


@pytest.fixture(autouse=True)
def repaired() -> None:
    import_mmdet()


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corners = rng.uniform(0, 30, (count, 2))
    return np.hstack([corners, corners + rng.uniform(8, 20, (count, 2))]).astype(np.float32)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def recall(
    truths: list[np.ndarray], proposals: list[np.ndarray], count: int, threshold: float
) -> float:
    """The best pair of an object and a proposal first, each used once."""
    found = total = 0
    for truth, candidates in zip(truths, proposals, strict=True):
        best = candidates[np.argsort(-candidates[:, 4])][:count]
        pairs = {(i, j): overlap(t, p) for i, t in enumerate(truth) for j, p in enumerate(best)}
        total += len(truth)
        while pairs:
            (i, j), value = max(pairs.items(), key=lambda item: item[1])
            found += value >= threshold
            pairs = {k: v for k, v in pairs.items() if k[0] != i and k[1] != j}
    return found / total


def test_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    numbers = [(3, 9), (0, 5), (1, 0), (5, 2), (3, 40)]
    truths = [random_boxes(rng, n) for n, _ in numbers]
    proposals = [np.hstack([random_boxes(rng, m), rng.random((m, 1))]) for _, m in numbers]
    proposals[4][:3, :4] = truths[4] + 1
    counts, thresholds = [1, 5, 100], [0.3, 0.5, 0.75]
    values = functional.eval_recalls(truths, proposals, counts, thresholds, logger='silent')
    expected = [[recall(truths, proposals, n, t) for t in thresholds] for n in counts]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert 0 < values[2, 0] < 1


def test_equals_the_host_where_all_images_are_alike() -> None:
    rng = np.random.default_rng(1)
    truths = [random_boxes(rng, 4) for _ in range(6)]
    proposals = [np.hstack([random_boxes(rng, 30), rng.random((30, 1))]) for _ in range(6)]
    arguments = (truths, proposals, (10, 30), (0.3, 0.5), 'silent')
    host = inspect.unwrap(functional.eval_recalls)(*arguments)
    np.testing.assert_allclose(functional.eval_recalls(*arguments), host, rtol=1e-12)
    assert host.min() < host.max()


def test_images_without_objects_do_not_count() -> None:
    truths = [np.array([[0, 0, 8, 8]], np.float32), np.zeros((0, 4), np.float32), None]
    proposals = [np.array([[0, 0, 8, 8, 0.5]])] * 3
    assert functional.eval_recalls(truths, proposals, 10, 0.5, 'silent') == 1
    assert np.isnan(functional.eval_recalls(truths[1:], proposals[1:], 10, 0.5, 'silent'))


def test_a_part_of_the_images_is_refused() -> None:
    truth = np.array([[0, 0, 8, 8]], np.float32)
    with pytest.raises(InputError, match='has 2 images, 1 were predicted'):
        functional.eval_recalls([truth, truth], [truth], 10, 0.5, 'silent')


def test_the_fault_is_that_of_the_host() -> None:
    """If this fails the host has mended it, and the repair can go."""
    assert proposal_recalls.is_faulty(inspect.unwrap(functional.eval_recalls))
    assert coco_metric.eval_recalls is functional.eval_recalls  # imported by name
    assert not proposal_recalls.is_faulty(functional.eval_recalls)
