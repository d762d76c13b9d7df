"""Fast NMS against its formula in plain loops, beside greedy NMS."""

import pytest
import torch
from torch import Tensor

from mmext.yolact_edge.fast_nms import fast_nms


def overlap(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def formula(
    boxes: Tensor, scores: Tensor, threshold: float, top_k: int, max_num: int, least: float
) -> list[tuple[int, int]]:
    """YOLACT, section 4: K_j = max over i < j of X_ij in the order of the scores, K_j <= t."""
    found = []
    for label in range(scores.shape[1]):
        column = scores[:, label].tolist()
        order = sorted(range(len(column)), key=lambda i: -column[i])[:top_k]
        for place, box in enumerate(order):
            largest = max(
                (overlap(boxes[i].tolist(), boxes[box].tolist()) for i in order[:place]), default=0
            )
            if largest <= threshold and column[box] > least:
                found.append((column[box], box, label))
    return [(box, label) for _, box, label in sorted(found, reverse=True)[:max_num]]


@pytest.mark.parametrize(('top_k', 'max_num'), [(200, 100), (7, 100), (200, 9)])
@pytest.mark.parametrize('least', [None, 0.4])
def test_equals_the_formula(top_k: int, max_num: int, least: float | None) -> None:
    for seed in range(8):
        torch.manual_seed(seed)
        starts = torch.rand(40, 2) * 50
        boxes = torch.cat([starts, starts + 5 + 40 * torch.rand(40, 2)], 1)
        scores = torch.rand(40, 3)
        kept = fast_nms(boxes, scores, 0.5, top_k, max_num, least)
        wanted = formula(boxes, scores, 0.5, top_k, max_num, -1 if least is None else least)
        assert list(zip(kept.box_index.tolist(), kept.labels.tolist(), strict=True)) == wanted
        assert kept.scores.equal(scores[kept.box_index, kept.labels])


def test_a_suppressed_box_suppresses() -> None:
    """Greedy NMS would keep the third box: the second, which overlaps it, is gone."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]])
    kept = fast_nms(boxes, torch.tensor([[0.9], [0.8], [0.7]]), 0.5)
    assert kept.box_index.tolist() == [0]


def test_classes_do_not_meet() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    kept = fast_nms(boxes, torch.tensor([[0.9, 0.1], [0.2, 0.8]]), 0.5, score_thr=0.5)
    assert list(zip(kept.box_index.tolist(), kept.labels.tolist(), strict=True)) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(('boxes', 'classes'), [(0, 3), (4, 0), (0, 0)])
def test_nothing(boxes: int, classes: int) -> None:
    kept = fast_nms(torch.rand(boxes, 4), torch.rand(boxes, classes), 0.5)
    assert [len(field) for field in kept] == [0, 0, 0]
    assert kept.labels.dtype == kept.box_index.dtype == torch.int64


def test_inputs_stay() -> None:
    boxes, scores = torch.rand(9, 4).cumsum(1), torch.rand(9, 2)
    before = boxes.clone(), scores.clone()
    fast_nms(boxes, scores, 0.5)
    assert boxes.equal(before[0]) and scores.equal(before[1])
