"""Targets and loss of the masks against plain loops and the released formula."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.yolact_edge.mask_loss import choose, mask_loss
from mmext.yolact_edge.mask_targets import masks_on_map, semantic_target


def plain(
    prototypes: Tensor, coefficients: Tensor, targets: Tensor, boxes: Tensor, canvas: tuple
) -> float:
    """Cross entropy of probabilities, cell by cell, over the area of the box in cells."""
    height, width = prototypes.shape[1:]
    total = 0.0
    for own, target, box in zip(coefficients, targets, boxes.tolist(), strict=True):
        x1, x2 = (box[i] * width / canvas[1] for i in (0, 2))
        y1, y2 = (box[i] * height / canvas[0] for i in (1, 3))
        loss = 0.0
        for row in range(height):
            for column in range(width):
                if x1 - 1 <= column < x2 + 1 and y1 - 1 <= row < y2 + 1:
                    logit = float(prototypes[:, row, column] @ own)
                    p = 1 / (1 + math.exp(-logit))
                    loss -= math.log(p if target[row, column] else 1 - p)
        total += loss / (max(x2 - x1, 1) * max(y2 - y1, 1))
    return total


def test_equals_plain_loops() -> None:
    torch.manual_seed(0)
    prototypes, coefficients = torch.randn(4, 8, 12), torch.randn(5, 4)
    targets = (torch.rand(5, 8, 12) > 0.5).float()
    starts = torch.rand(5, 2) * 20
    boxes = torch.cat([starts, starts + torch.rand(5, 2) * 25], 1)
    loss = mask_loss(prototypes, coefficients, targets, boxes, (32, 48))
    assert float(loss) == pytest.approx(
        plain(prototypes, coefficients, targets, boxes, (32, 48)), rel=1e-5
    )


def test_padding_changes_nothing() -> None:
    """The same picture on a canvas of twice the height: the same loss."""
    torch.manual_seed(0)
    prototypes, coefficients = torch.randn(4, 8, 8), torch.randn(2, 4)
    targets = torch.zeros(2, 8, 8)
    targets[:, 2:5, 1:6] = 1
    boxes = torch.tensor([[4.0, 8, 24, 20]] * 2)
    wide = [F.pad(maps, (0, 0, 0, 8)) for maps in (prototypes, targets)]
    torch.testing.assert_close(
        mask_loss(wide[0], coefficients, wide[1], boxes, (64, 32)),
        mask_loss(prototypes, coefficients, targets, boxes, (32, 32)),
    )


def test_no_anchors_cost_nothing_and_have_a_gradient() -> None:
    prototypes = torch.randn(4, 8, 8, requires_grad=True)
    coefficients = torch.randn(3, 4, requires_grad=True)
    nobody = torch.zeros(0, dtype=torch.int64)
    loss = mask_loss(
        prototypes, coefficients[nobody], torch.zeros(0, 8, 8), torch.zeros(0, 4), (32, 32)
    )
    loss.backward()
    assert loss.item() == 0
    assert not prototypes.grad.any() and not coefficients.grad.any()


def test_a_speck_has_a_bounded_loss() -> None:
    """A box of a hundredth of a cell counts as one cell: at most nine cells of ln 2."""
    box = torch.tensor([[16.0, 16.0, 16.04, 16.04]])
    loss = mask_loss(torch.zeros(1, 8, 8), torch.zeros(1, 1), torch.zeros(1, 8, 8), box, (32, 32))
    assert 0 < float(loss) <= 9 * math.log(2) + 1e-6


def test_choose_takes_all_or_as_many_as_allowed() -> None:
    assert choose(4, 5, torch.device('cpu')).tolist() == [0, 1, 2, 3]
    some = choose(100, 10, torch.device('cpu')).tolist()
    assert len(set(some)) == 10 and max(some) < 100
    assert choose(0, 5, torch.device('cpu')).tolist() == []


def test_masks_on_a_padded_canvas() -> None:
    """An image of 16 x 24 on 32 x 32, mapped to 8 x 8: a cell is 4 px."""
    masks = torch.zeros(1, 16, 24, dtype=torch.uint8)
    masks[:, 4:12, 8:24] = 1
    wanted = torch.zeros(1, 8, 8)
    wanted[:, 1:3, 2:6] = 1
    assert masks_on_map(masks, (32, 32), (8, 8)).equal(wanted)
    padded = F.pad(masks, (0, 8, 0, 16))
    assert masks_on_map(padded, (32, 32), (8, 8)).equal(wanted)
    assert masks_on_map(masks[:0], (32, 32), (8, 8)).shape == (0, 8, 8)


def test_semantic_target_is_the_union_by_label() -> None:
    torch.manual_seed(0)
    masks = (torch.rand(6, 4, 5) > 0.5).float()
    labels = torch.tensor([0, 2, 2, 4, 0, 0])
    target = semantic_target(masks, labels, 5)
    for label in range(5):
        wanted = torch.zeros(4, 5)
        for mask, own in zip(masks, labels.tolist(), strict=True):
            if own == label:
                wanted = torch.maximum(wanted, mask)
        assert target[label].equal(wanted)
    assert not semantic_target(masks[:0], labels[:0], 5).any()
