"""Box voting against the greedy loop."""

import pytest
import torch
from mmcv.ops import nms

from mmext.functional.boxes import pairwise_iou
from mmext.retinaface.box_voting import vote_boxes


def plain_voting(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Take the best box and all that overlap it, average, go on with the rest."""
    order = scores.argsort(descending=True).tolist()
    voted = []
    while order:
        overlaps = pairwise_iou(boxes[order[:1]], boxes[order])[0]
        group = [i for i, iou in zip(order, overlaps.tolist(), strict=True) if iou > threshold]
        weights = scores[group]
        voted.append((boxes[group] * weights[:, None]).sum(0) / weights.sum())
        order = [i for i in order if i not in group]
    return torch.stack(voted)


@pytest.mark.parametrize('count', [1, 30, 300])
def test_equals_the_greedy_loop(count: int) -> None:
    torch.manual_seed(count)
    corners = torch.rand(count, 2) * 100
    boxes = torch.cat((corners, corners + 20 + torch.rand(count, 2) * 60), 1)
    scores = torch.rand(count) + 0.01
    _, kept = nms(boxes, scores, 0.4)
    voted = vote_boxes(boxes, scores, kept, 0.4)
    torch.testing.assert_close(voted, plain_voting(boxes, scores, 0.4), rtol=1e-4, atol=1e-3)


def test_a_limit_cuts_the_end() -> None:
    torch.manual_seed(0)
    boxes = torch.rand(50, 4) * 50
    boxes[:, 2:] += boxes[:, :2] + 5
    scores = torch.rand(50)
    _, kept = nms(boxes, scores, 0.4)
    whole = vote_boxes(boxes, scores, kept, 0.4)
    torch.testing.assert_close(vote_boxes(boxes, scores, kept[:3], 0.4), whole[:3])


def test_nothing() -> None:
    empty = torch.zeros(0, dtype=torch.long)
    assert vote_boxes(torch.zeros(0, 4), torch.zeros(0), empty, 0.4).shape == (0, 4)
