"""Matching against the procedure of the released code in plain loops, and cases by hand."""

import pytest
import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.functional.mining import BACKGROUND, IGNORE
from mmext.yolact_edge.matching import MatchingRules, match_anchors, own_anchors

RULES = MatchingRules()


def plain(iou: Tensor, share: Tensor) -> list[int]:
    """Threshold; then the largest overlap of the table again and again; then crowds."""
    table = iou.tolist()
    assigned = []
    for anchor in range(iou.shape[1]):
        column = [row[anchor] for row in table]
        best = max(range(len(column)), key=column.__getitem__) if column else -1
        value = column[best] if column else 0.0
        assigned.append(best if value >= 0.5 else IGNORE if value >= 0.4 else BACKGROUND)
    left_objects, left_anchors = set(range(len(table))), set(range(iou.shape[1]))
    while left_objects and left_anchors:
        pairs = [(table[g][p], g, p) for g in left_objects for p in left_anchors]
        value, box, anchor = max(pairs)
        if value <= 0:
            break
        assigned[anchor] = box
        left_objects.remove(box)
        left_anchors.remove(anchor)
    for anchor, value in enumerate(share.tolist()):
        if assigned[anchor] < 0 and value > 0.7:
            assigned[anchor] = IGNORE
    return assigned


def random_boxes(count: int, generator: torch.Generator) -> Tensor:
    starts = torch.rand(count, 2, generator=generator) * 60
    return torch.cat([starts, starts + 5 + 40 * torch.rand(count, 2, generator=generator)], 1)


@pytest.mark.parametrize('objects', [0, 1, 3, 12, 40])
def test_equals_the_plain_procedure(objects: int) -> None:
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        anchors, boxes = random_boxes(30, generator), random_boxes(objects, generator)
        crowds = random_boxes(seed % 3, generator) * 1.5
        share = torch.zeros(30)
        for x1, y1, x2, y2 in crowds.tolist():
            width = anchors[:, 2].clamp(max=x2) - anchors[:, 0].clamp(min=x1)
            height = anchors[:, 3].clamp(max=y2) - anchors[:, 1].clamp(min=y1)
            areas = (anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])
            share = torch.maximum(share, width.clamp(min=0) * height.clamp(min=0) / areas)
        assigned = match_anchors(anchors, boxes, crowds, RULES)
        assert assigned.tolist() == plain(pairwise_iou(boxes, anchors), share)


def test_every_object_has_an_anchor_of_its_own() -> None:
    """Two equal objects: on the host the later takes the anchor of both."""
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 14, 14], [50, 50, 60, 60]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    assigned = match_anchors(anchors, boxes, boxes[:0], RULES)
    assert sorted(assigned.tolist()[:2]) == [0, 1] and assigned[2] == BACKGROUND


def test_what_overlaps_no_anchor_has_none() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.tensor([[5.0, 5, 5, 5], [20, 20, 30, 30]])  # without area, outside
    assert match_anchors(anchors, boxes, boxes[:0], RULES).tolist() == [BACKGROUND]


def test_a_crowd_is_neither_object_nor_background() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 10, 10]])
    crowd = torch.tensor([[0.0, 0, 10, 100]])
    found = match_anchors(anchors, crowd[:0], crowd, RULES)
    assert found.tolist() == [IGNORE, BACKGROUND, IGNORE]
    found = match_anchors(anchors[:1], anchors[:1], crowd, RULES)
    assert found.tolist() == [0]  # an object in a crowd stays


def test_more_objects_than_anchors() -> None:
    anchor_index, box_index = own_anchors(torch.rand(7, 2) + 0.1)
    assert sorted(anchor_index.tolist()) == [0, 1] and len(set(box_index.tolist())) == 2


def test_wrong_thresholds_are_named() -> None:
    with pytest.raises(InputError, match='negative_iou <= positive_iou'):
        MatchingRules(positive_iou=0.3, negative_iou=0.4)
