"""Overlaps of boxes against a loop, and bit for bit against the formula of each user."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mmext.functional.boxes import pairwise_iou, xywh_to_xyxy


def random_boxes(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Boxes ``[*shape, 4]`` in a small area; one in five is empty or turned inside out."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * 40
    sides = torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * 30
    kind = torch.randint(0, 10, shape, generator=generator)
    sides[kind == 0] *= 0
    sides[kind == 1] *= -1
    return torch.cat((corners, corners + sides), -1).to(dtype)


def plain_iou(a: list[float], b: list[float], extent: float) -> float:
    def area(x1: float, y1: float, x2: float, y2: float) -> float:
        return max(x2 - x1 + extent, 0.0) * max(y2 - y1 + extent, 0.0)

    shared = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = area(*a) + area(*b) - shared
    return shared / union if union > 0 else 0.0


@pytest.mark.parametrize('extent', [0.0, 1.0])
@pytest.mark.parametrize('seed', range(5))
def test_equals_a_loop(seed: int, extent: float) -> None:
    boxes = random_boxes(seed, 13, dtype=torch.float64)
    others = random_boxes(seed + 100, 17, dtype=torch.float64)
    before = boxes.clone(), others.clone()
    expected = [[plain_iou(a, b, extent) for b in others.tolist()] for a in boxes.tolist()]
    assert pairwise_iou(boxes, others, extent).tolist() == expected
    assert torch.equal(boxes, before[0]) and torch.equal(others, before[1])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equals_the_broadcast_formula_to_the_bit(dtype: torch.dtype) -> None:
    """With clamped sides; written with corners side by side, as batches of boxes often are."""
    boxes, others = random_boxes(1, 3, 9, dtype=dtype), random_boxes(2, 3, 200, dtype=dtype)
    low = torch.maximum(boxes[..., :, None, :2], others[..., None, :, :2])
    high = torch.minimum(boxes[..., :, None, 2:], others[..., None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas, other_areas = ((b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (boxes, others))
    union = areas[..., :, None] + other_areas[..., None, :] - shared
    assert torch.equal(pairwise_iou(boxes, others), shared / union.where(union > 0, 1))


def test_sides_need_no_clamp_where_nothing_is_shared() -> None:
    """A box turned inside out shares nothing, whatever sign its area has."""
    boxes, others = random_boxes(3, 50), random_boxes(4, 70)
    x1, y1, x2, y2 = boxes[:, None].unbind(-1)
    u1, v1, u2, v2 = others.unbind(-1)
    width = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp(min=0)
    shared = width * (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp(min=0)
    total = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
    iou = shared / total.clamp(min=torch.finfo(total.dtype).tiny)
    assert torch.equal(pairwise_iou(boxes, others), iou)


def test_leading_axes_broadcast() -> None:
    batch, one = random_boxes(5, 4, 6), random_boxes(6, 11)
    iou = pairwise_iou(batch, one)
    assert all(torch.equal(iou[i], pairwise_iou(batch[i], one)) for i in range(4))
    assert torch.equal(pairwise_iou(one, batch), iou.mT)


def test_boxes_without_area_overlap_nothing() -> None:
    empty = torch.tensor([[3.0, 3, 3, 3], [5, 5, 2, 2], [0, 0, 0, 9]])
    assert not pairwise_iou(empty, empty).any()
    assert not pairwise_iou(empty, torch.tensor([[0.0, 0, 9, 9]])).any()
    assert pairwise_iou(empty[:1], empty[:1], extent_px=1.0) == 1


def test_no_boxes() -> None:
    none, some = torch.zeros(0, 4), random_boxes(7, 3)
    assert pairwise_iou(none, some).shape == (0, 3)
    assert pairwise_iou(some, none).shape == (3, 0)
    assert pairwise_iou(torch.zeros(2, 0, 4), some).shape == (2, 0, 3)


def test_corners_are_a_copy() -> None:
    boxes = np.array([[1.5, 2.0, 3.0, 0.0], [4.0, 5.0, -1.0, 2.0]])
    before = boxes.copy()
    assert xywh_to_xyxy(boxes).tolist() == [[1.5, 2, 4.5, 2], [4, 5, 3, 7]]
    assert (boxes == before).all()
    assert xywh_to_xyxy(np.zeros((0, 4))).shape == (0, 4)
