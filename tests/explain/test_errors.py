"""TIDE's kinds by hand."""

from typing import Any

import numpy as np
import pytest

from mmext.explain.errors import judge

TRUTH = (0.0, 0, 10, 10)
HALF = (0.0, 0, 10, 4)  # IoU .4
NEAR = (0.0, 0, 10, 8)  # IoU .8
FAR = (50.0, 50, 60, 60)


def judged(detections: list[Any], truths: list[Any], ignored: list[bool] | None = None) -> Any:
    """Detections are (box, label, score), truths (box, label)."""
    boxes, labels, scores = zip(*detections, strict=True) if detections else ((), (), ())
    true_boxes, true_labels = zip(*truths, strict=True) if truths else ((), ())
    return judge(
        np.array(boxes, float).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(scores, float),
        np.array(true_boxes, float).reshape(-1, 4),
        np.array(true_labels, np.int64),
        np.array(ignored or [False] * len(truths), bool),
    )


@pytest.mark.parametrize(
    ('box', 'label', 'kind', 'missed'),
    [
        (NEAR, 0, 'right', 0),
        (NEAR, 1, 'class', 0),
        (HALF, 0, 'localization', 0),
        (HALF, 1, 'both', 1),
        (FAR, 0, 'background', 1),
    ],
)
def test_one_detection_and_one_truth(box: Any, label: int, kind: str, missed: int) -> None:
    found = judged([(box, label, 0.9)], [(TRUTH, 0)])
    assert found.kinds == [kind]
    assert len(found.missed) == missed
    assert found.truth_index[0] == (-1 if kind == 'background' else 0)


def test_the_best_scored_one_is_right_and_the_other_a_duplicate() -> None:
    found = judged([(TRUTH, 0, 0.6), (NEAR, 0, 0.9)], [(TRUTH, 0)])
    assert found.kinds == ['duplicate', 'right']
    assert found.detection_index.tolist() == [1]
    assert found.iou.tolist() == [1.0, 0.8]


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong() -> None:
    found = judged([(HALF, 0, 0.9), (FAR, 0, 0.8)], [(TRUTH, 0)], [True])
    assert found.kinds == ['ignored', 'background']
    assert len(found.missed) == 0


def test_nothing_at_all() -> None:
    assert judged([], [(TRUTH, 0)]).missed.tolist() == [0]
    assert judged([(TRUTH, 0, 0.5)], []).kinds == ['background']
    assert judged([], []).kinds == []
