"""The protocol of WIDER FACE against a plain restatement of its loops, to the last bit."""

import math

import numpy as np
import pytest

from mmext.metrics.faces.wider_face_ap import (
    IOU_RANGE,
    average_precision,
    match_image,
    mean_average_precision,
    precision_recall,
    stretch,
    tabulate,
)

Box = list[float]
Image = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Boxes x, y, w, h, scores (falling), faces x, y, w, h, and which of these count."""


def plain_iou(first: Box, second: Box) -> float:
    ax1, ay1, ax2, ay2 = first[0], first[1], first[0] + first[2], first[1] + first[3]
    bx1, by1, bx2, by2 = second[0], second[1], second[0] + second[2], second[1] + second[3]
    width = min(ax2, bx2) - max(ax1, bx1) + 1
    height = min(ay2, by2) - max(ay1, by1) + 1
    if width <= 0 or height <= 0:
        return 0.0
    first_area, second_area = (ax2 - ax1 + 1) * (ay2 - ay1 + 1), (bx2 - bx1 + 1) * (by2 - by1 + 1)
    return width * height / (first_area + second_area - width * height)


def plain_ap(images: list[Image], threshold: float = 0.5, count_empty: bool = False) -> float:
    """The protocol, face by face, detection by detection, threshold by threshold."""
    every = [score for _, scores, _, _ in images for score in scores.tolist()]
    low, high = (min(every), max(every)) if every else (0.0, 1.0)
    proposals, recalled, num_faces = [0] * 1000, [0] * 1000, 0
    for boxes, scores, faces, counted in images:
        num_faces += int(counted.sum())
        if not len(boxes) or (not len(faces) and not count_empty):
            continue
        state, is_proposal, hits_so_far = [0] * len(faces), [], []
        for box in boxes.tolist():
            best, best_iou = -1, -1.0
            for number, face in enumerate(faces.tolist()):
                iou = plain_iou(box, face)
                if iou > best_iou:
                    best, best_iou = number, iou
            proposal = True
            if best_iou >= threshold:
                if not counted[best]:
                    state[best], proposal = -1, False
                elif state[best] == 0:
                    state[best] = 1
            is_proposal.append(proposal)
            hits_so_far.append(state.count(1))
        values = [1.0 if low == high else (s - low) / (high - low) for s in scores.tolist()]
        for t in range(1000):
            passing = [i for i, value in enumerate(values) if value >= 1 - (t + 1) / 1000]
            if passing:
                proposals[t] += sum(is_proposal[: passing[-1] + 1])
                recalled[t] += hits_so_far[passing[-1]]
    if not num_faces:
        return math.nan
    recall = [r / num_faces for r in recalled]
    precision = [r / p if p else 0.0 for r, p in zip(recalled, proposals, strict=True)]
    steps, heights = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(heights) - 1, 0, -1):
        heights[i - 1] = max(heights[i - 1], heights[i])
    places = [i for i in range(len(steps) - 1) if steps[i + 1] != steps[i]]
    return float(np.sum([(steps[i + 1] - steps[i]) * heights[i + 1] for i in places]))


def random_images(seed: int, num_images: int = 12, integers: bool = False) -> list[Image]:
    """Sets with ties of scores and overlaps, empty images, faces without area, crowds."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(num_images):
        count = int(rng.integers(0, 9)) if number % 4 else 0
        faces = rng.uniform(0, 80, (count, 4)) * [1, 1, 0.4, 0.4]
        faces[rng.random(count) < 0.1, 2:] = 0
        near = faces[rng.integers(0, count, 12)] if count else np.zeros((0, 4))
        near = near + rng.normal(0, 2, near.shape)
        loose = rng.uniform(0, 80, (int(rng.integers(0, 6)), 4)) * [1, 1, 0.4, 0.4]
        boxes = np.concatenate([near, loose])[: int(rng.integers(0, 18))]
        scores = rng.choice([rng.random(len(boxes)), rng.integers(0, 5, len(boxes)) / 4])
        if integers:
            faces, boxes = faces.round(), boxes.round()
        order = np.argsort(-scores, kind='stable')
        images.append((boxes[order], scores[order], faces, rng.random(count) < 0.7))
    return images


def fast(images: list[Image], count_empty: bool = False) -> tuple[object, np.ndarray]:
    table = tabulate([match_image(b, s, f) for b, s, f, _ in images], count_empty)
    return table, np.concatenate([counted for *_, counted in images])


@pytest.mark.parametrize('count_empty', [False, True])
@pytest.mark.parametrize('seed', range(25))
def test_equal_to_the_plain_loops_to_the_last_bit(seed: int, count_empty: bool) -> None:
    images = random_images(seed, integers=seed % 2 == 0)
    table, counted = fast(images, count_empty)
    for threshold in (0.5, 0.75):
        ours = average_precision(table, counted, threshold)
        plain = plain_ap(images, threshold, count_empty)
        assert ours == plain or (math.isnan(ours) and math.isnan(plain))
    assert len(images) == 12


def test_mean_over_iou_thresholds() -> None:
    images = random_images(3)
    table, counted = fast(images)
    plain = np.mean([plain_ap(images, threshold) for threshold in IOU_RANGE])
    assert mean_average_precision(table, counted) == plain
    assert 0 < plain < plain_ap(images)
    np.testing.assert_allclose(IOU_RANGE, np.linspace(0.5, 0.95, 10))


def test_perfect_and_hopeless() -> None:
    faces = np.array([[0.0, 0, 10, 10], [50, 50, 20, 20]])
    every = np.ones(2, bool)
    right = tabulate([match_image(faces, np.array([0.9, 0.2]), faces)])
    assert average_precision(right, every) == 1
    assert mean_average_precision(right, every) == 1
    wrong = tabulate([match_image(faces + np.array([200, 0, 0, 0]), np.array([0.9, 0.2]), faces)])
    assert average_precision(wrong, every) == 0
    none = tabulate([match_image(np.zeros((0, 4)), np.zeros(0), faces)])
    assert average_precision(none, every) == 0
    assert math.isnan(average_precision(right, np.zeros(2, bool)))
    assert math.isnan(average_precision(tabulate([]), np.zeros(0, bool)))


def test_by_hand() -> None:
    """Best score on nothing, then a face, then the same face again, then an ignored one."""
    faces = np.array([[0.0, 0, 9, 9], [30, 0, 9, 9], [60, 0, 9, 9]])
    boxes = np.array([[90.0, 0, 9, 9], [0, 0, 9, 9], [1, 0, 9, 9], [30, 0, 9, 9]])
    table = tabulate([match_image(boxes, np.array([1.0, 0.75, 0.5, 0.0]), faces)])
    precision, recall = precision_recall(table, np.array([True, False, True]))
    assert recall[[0, 248, 249, 998, 999]].tolist() == [0, 0, 0.5, 0.5, 0.5]
    assert precision[[0, 249, 499, 999]].tolist() == [0, 0.5, 1 / 3, 1 / 3]
    assert average_precision(table, np.array([True, False, True])) == 0.25


def test_ignored_faces_change_nothing_but_their_own_detections() -> None:
    images = random_images(5)
    table, counted = fast(images)
    before = average_precision(table, counted)
    extra = np.array([[1000.0, 1000, 50, 50]])
    more = [
        (np.concatenate([b, extra]), np.append(s, s.min(initial=0)), np.concatenate([f, extra]),
         np.append(c, False))
        for b, s, f, c in images if len(f)
    ]  # fmt: skip
    table, counted = fast([*more, *(image for image in images if not len(image[2]))])
    assert average_precision(table, counted) == before


def test_order_of_images_and_of_detections_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    images = random_images(7)
    # without ties: which of two equal detections is first is a matter of their order
    images = [(b, -np.sort(-rng.random(len(b))), f, c) for b, s, f, c in images]
    expected = plain_ap(images)
    shuffled = []
    for boxes, scores, faces, counted in images[::-1]:
        order = rng.permutation(len(boxes))
        shuffled.append((boxes[order], scores[order], faces, counted))
    table, counted = fast(shuffled)
    assert average_precision(table, counted) == expected


def test_scores_of_any_range_and_all_equal() -> None:
    images = random_images(9)
    table, counted = fast(images)
    logits = [(b, 2**7 * s - 3, f, c) for b, s, f, c in images]
    assert average_precision(fast(logits)[0], counted) == average_precision(table, counted)
    equal = [(b, np.full(len(b), 0.3), f, c) for b, s, f, c in images]
    assert average_precision(fast(equal)[0], counted) == plain_ap(equal) > 0
    assert stretch(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    ('boxes', 'scores', 'message'),
    [
        (np.ones((2, 4)), np.ones(3), r'a score for each box, got \(2, 4\) and \(3,\)'),
        (np.ones((1, 4)), np.array([np.nan]), 'expected finite boxes and scores'),
        (np.array([[0, 0, np.inf, 1]]), np.ones(1), 'expected finite boxes and scores'),
    ],
)
def test_bad_detections(boxes: np.ndarray, scores: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match_image(boxes, scores, np.ones((1, 4)))


def test_wrong_number_of_flags() -> None:
    table, counted = fast(random_images(0))
    with pytest.raises(ValueError, match=f'expected .{len(counted)}., got .{len(counted) + 1}.'):
        precision_recall(table, np.append(counted, True))


def test_inputs_stay_unchanged() -> None:
    boxes, scores, faces, _ = random_images(3)[1]
    copies = boxes.copy(), scores.copy(), faces.copy()
    match_image(boxes, scores, faces)
    for array, copy in zip((boxes, scores, faces), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
