"""Confusion of detections: hand cases, and a plain search over all matchings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmext.metrics.coco.confusion import ImageBoxes, confusion_matrix

A, B = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 10.0, 10.0)
Object = tuple[tuple[float, float, float, float], int]


def image(
    found: list[tuple[tuple[float, float, float, float], int, float]],
    truth: list[Object],
    crowds: tuple[int, ...] = (),
) -> ImageBoxes:
    return ImageBoxes(
        np.array([box for box, *_ in found]).reshape(-1, 4),
        np.array([label for _, label, _ in found], np.int64),
        np.array([score for *_, score in found]),
        np.array([box for box, _ in truth]).reshape(-1, 4),
        np.array([label for _, label in truth], np.int64),
        np.array([number in crowds for number in range(len(truth))], bool),
    )


def counts(matrix: np.ndarray) -> dict[tuple[int, int], int]:
    return {(int(t), int(p)): int(matrix[t, p]) for t, p in np.argwhere(matrix)}


@pytest.mark.parametrize(
    ('found', 'truth', 'crowds', 'wanted'),
    [
        ([], [], (), {}),
        ([(A, 0, 0.9)], [(A, 0)], (), {(0, 0): 1}),
        ([(A, 1, 0.9)], [(A, 0)], (), {(0, 1): 1}),
        ([], [(A, 0)], (), {(0, 2): 1}),
        ([(A, 1, 0.9)], [], (), {(2, 1): 1}),
        ([(A, 0, 0.29)], [(A, 0)], (), {(0, 2): 1}),  # not sure enough
        ([(B, 0, 0.9)], [(A, 0)], (), {(0, 2): 1, (2, 0): 1}),
        # a surer detection of the wrong class does not take the truth of a right one
        ([(A, 1, 0.9), (A, 0, 0.5)], [(A, 0)], (), {(0, 0): 1, (2, 1): 1}),
        ([(A, 0, 0.9), (A, 0, 0.8)], [(A, 0)], (), {(0, 0): 1, (2, 0): 1}),  # twice
        ([(A, 0, 0.9)], [(A, 0)], (0,), {}),  # in a crowd: neither right nor wrong
        ([], [(A, 0)], (0,), {}),
        # IoU 1/3 is another place, IoU 2/3 the same one
        ([((5.0, 0.0, 10.0, 10.0), 0, 0.9)], [(A, 0)], (), {(0, 2): 1, (2, 0): 1}),
        ([((2.0, 0.0, 10.0, 10.0), 0, 0.9)], [(A, 0)], (), {(0, 0): 1}),
    ],
)
def test_by_hand(found, truth, crowds, wanted) -> None:
    assert counts(confusion_matrix([image(found, truth, crowds)], 2)) == wanted


def test_images_are_added() -> None:
    one = image([(A, 1, 0.9)], [(A, 0), (B, 1)])
    assert (confusion_matrix([one, one], 2) == 2 * confusion_matrix([one], 2)).all()
    assert confusion_matrix([], 3).shape == (4, 4)


def test_inputs_stay_as_they_are() -> None:
    one = image([(A, 1, 0.9), (B, 0, 0.4)], [(A, 0), (B, 1)], (1,))
    before = [field.copy() for field in one]
    confusion_matrix([one], 2)
    assert all((a == b).all() for a, b in zip(before, one, strict=True))


_PLACES = st.sampled_from([A, B, (2.0, 0.0, 10.0, 10.0), (5.0, 5.0, 10.0, 10.0)])
_FOUND = st.lists(st.tuples(_PLACES, st.integers(0, 2), st.floats(0, 1)), max_size=6)
_TRUTH = st.lists(st.tuples(_PLACES, st.integers(0, 2)), max_size=5)


@given(_FOUND, _TRUTH)
def test_rows_and_columns_add_up(found, truth) -> None:
    """Each truth is in one cell of its row, each sure detection in one of its column."""
    matrix = confusion_matrix([image(found, truth)], 3)
    for label in range(3):
        assert matrix[label].sum() == sum(own == label for _, own in truth)
        sure = sum(own == label and score >= 0.3 for _, own, score in found)
        assert matrix[:, label].sum() == sure
    assert matrix[3, 3] == 0


@given(_FOUND, _TRUTH)
def test_as_a_plain_loop(found, truth) -> None:
    sure = sorted((f for f in found if f[2] >= 0.3), key=lambda f: -f[2])
    wanted = np.zeros((4, 4), int)
    left, free = list(sure), list(truth)
    for same in (True, False):
        for detection in list(left):
            fitting = [
                (overlap(detection[0], box), -place)
                for place, (box, label) in enumerate(free)
                if overlap(detection[0], box) >= 0.5 and (label == detection[1] or not same)
            ]
            if fitting:
                taken = free.pop(-max(fitting)[1])
                wanted[taken[1], detection[1]] += 1
                left.remove(detection)
    for _, label, _ in left:
        wanted[3, label] += 1
    for _, label in free:
        wanted[label, 3] += 1
    assert (confusion_matrix([image(found, truth)], 3) == wanted).all()


def overlap(first, second) -> float:
    (x, y, w, h), (u, v, m, n) = first, second
    shared = max(0, min(x + w, u + m) - max(x, u)) * max(0, min(y + h, v + n) - max(y, v))
    return shared / (w * h + m * n - shared)
