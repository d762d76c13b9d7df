"""Losses against plain torch."""

import pytest
import torch
import torch.nn.functional as F

from mmext.retinaface.multibox_loss import face_cross_entropy, smooth_l1


def test_cross_entropy_equals_torch_and_holds_for_large_logits() -> None:
    torch.manual_seed(0)
    logits, assigned = torch.randn(2, 50, 2), torch.randint(-2, 3, (2, 50))
    wanted = F.cross_entropy(
        logits.flatten(0, 1), (assigned >= 0).long().flatten(), reduction='none'
    )
    torch.testing.assert_close(face_cross_entropy(logits, assigned).flatten(), wanted)
    far = torch.tensor([[[300.0, -300.0], [-300.0, 300.0]]])
    torch.testing.assert_close(
        face_cross_entropy(far, torch.tensor([[0, 0]])), torch.tensor([[600.0, 0.0]])
    )


def test_smooth_l1_skips_what_does_not_count() -> None:
    predicted = torch.tensor([[0.5, 3.0], [1.0, 1.0]], requires_grad=True)
    target = torch.tensor([[0.0, 0.0], [float('nan'), 1e30]])
    valid = torch.tensor([[True], [False]])
    loss = smooth_l1(predicted, target, beta=1.0, valid=valid)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 0.25 + 2.5)
    assert predicted.grad.tolist() == [[0.5, 1.0], [0.0, 0.0]]
