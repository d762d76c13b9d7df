"""Goldens are of the released losses."""

import pytest
import torch

from mmext.functional.landmark_losses import (
    adaptive_wing,
    adaptive_wing_weights,
    masked_mean,
    residual_log_likelihood,
    simcc_kl,
    smooth_l1,
    soft_wing,
    wing,
)


def test_wing_and_soft_wing_are_those_released() -> None:
    errors = torch.tensor([0.5, -5.0, 10.0, -20.0], dtype=torch.float64)
    expected = [2.231436, 12.527630, 17.917595, 27.917595]
    assert wing(errors).tolist() == pytest.approx(expected, abs=1e-6)
    errors = torch.tensor([-0.5, 2.0, -5.0, 20.0], dtype=torch.float64)
    expected = [0.5, 2, 17.769147, 44.082683]
    assert soft_wing(errors).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ('target', 'expected'),
    [
        (0.0, [0.110766, 1.907776, 2.935235, 6.271661]),
        (0.2, [0.175149, 2.261964, 3.323547, 6.696234]),
        (1.0, [1.070101, 4.355930, 5.360458, 8.299812]),
    ],
)
def test_adaptive_wing_is_that_released(target: float, expected: list) -> None:
    targets = torch.full((4,), target, dtype=torch.float64)
    predicted = targets - torch.tensor([0.1, 0.4, 0.5, 0.8], dtype=torch.float64)
    assert adaptive_wing(predicted, targets).tolist() == pytest.approx(expected, abs=1e-6)


def test_adaptive_wing_has_gradients_everywhere() -> None:
    predicted = torch.tensor([0.0, 0.5, 1.0, 1.0, 0.3], requires_grad=True)
    targets = torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0])
    loss = adaptive_wing(predicted, targets).sum()
    loss.backward()
    assert predicted.grad.isfinite().all()
    assert (predicted.grad[[0, 2]] == 0).all()
    assert predicted.grad[4] < 0 < predicted.grad[3]


def test_cells_around_a_peak_count_more() -> None:
    targets = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) ** 4
    before = targets.clone()
    expected = torch.ones_like(targets)
    for crop, point, row, column in (targets >= 0.2).nonzero().tolist():
        rows, columns = slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
        expected[crop, point, rows, columns] = 11
    assert 1 < expected.mean() < 11
    assert torch.equal(adaptive_wing_weights(targets), expected)
    assert torch.equal(targets, before)
    assert adaptive_wing_weights(targets[:0]).shape == (0, 3, 5, 7)


def test_smooth_l1() -> None:
    errors = torch.tensor([0.5, -2.0])
    assert smooth_l1(errors).tolist() == [0.125, 1.5]
    assert smooth_l1(errors, 0).tolist() == [0.5, 2]


def test_simcc_kl_is_that_released() -> None:
    logits = torch.linspace(-1, 1, 12).view(1, 2, 6)
    labels = torch.tensor([[[0, 0, 1, 0.5, 0, 0], [0, 0, 0, 0, 0, 1]]])
    found = simcc_kl(logits, labels)
    assert found[0].tolist() == pytest.approx([0.9295264, 0.0293072], abs=1e-6)
    assert (found.sum() / 2).item() == pytest.approx(0.4794168, abs=1e-6)
    assert simcc_kl(labels, labels).abs().max() < 1e-6


def test_rle_without_its_flow_is_that_released() -> None:
    points = torch.tensor([[[0.4, 0.6], [0.1, 0.2]]])
    targets = torch.tensor([[[0.5, 0.5], [0.1, 0.3]]])
    raw = torch.tensor([[[-2.0, -1.0], [0.0, 0.5]]])
    losses = residual_log_likelihood(points, targets, raw)
    assert losses.shape == (1, 2, 2)
    assert losses.sum().item() == pytest.approx(-4.6074138 - 0.4634382, abs=1e-5)
    # a density that adds log 3 to each point takes it off both coordinates
    denser = residual_log_likelihood(points, targets, raw, lambda errors: 3 * errors[:, 0] ** 0)
    assert (losses - denser).flatten().tolist() == pytest.approx([3.0] * 4, abs=1e-5)


def test_masked_mean_ignores_what_does_not_count() -> None:
    values = torch.tensor([[[1.0, 3.0], [torch.nan, torch.inf]]], requires_grad=True)
    mean = masked_mean(values, torch.tensor([[1.0, 0.0]]))
    assert mean.item() == 2
    (gradient,) = torch.autograd.grad(mean, values)
    assert gradient.tolist() == [[[0.5, 0.5], [0, 0]]]
    nothing = masked_mean(values, torch.zeros(1, 2))
    assert nothing.item() == 0
    assert torch.autograd.grad(nothing, values)[0].abs().sum() == 0
    assert masked_mean(torch.zeros(0, 3, 2), torch.zeros(0, 3)).item() == 0
