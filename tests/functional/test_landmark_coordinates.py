"""Goldens are of the released DSNT and SimCC."""

import pytest
import torch

from mmext.functional.landmark_coordinates import (
    decode_simcc,
    expected_xy,
    integral_xy,
    jensen_shannon,
    kl_divergence,
    normalized_gaussians,
    simcc_targets,
    soft_argmax,
    variance_error,
)


def test_the_mean_place_of_two_cells() -> None:
    probs = torch.zeros(3, 5)
    probs[1, 3], probs[2, 4] = 0.7, 0.3
    assert expected_xy(probs).tolist() == pytest.approx([0.52, 0.20])
    xs = [expected_xy(row.view(1, 4))[0].item() for row in torch.eye(4)]
    assert xs == [-0.75, -0.25, 0.25, 0.75]


def test_dsnt_and_its_regularizers_are_those_released() -> None:
    logits, target = torch.linspace(-1, 1, 30).view(1, 5, 6), torch.tensor([[0.2, -0.4]])
    xy, probs = soft_argmax(logits)
    assert xy[0].tolist() == pytest.approx([0.066854, 0.308738], abs=1e-6)
    assert (xy - target).norm().item() == pytest.approx(0.721136, abs=1e-6)
    gaussians = normalized_gaussians(target, (5, 6), 1.0)
    assert gaussians.sum().item() == pytest.approx(1)
    assert jensen_shannon(probs, gaussians).item() == pytest.approx(0.303749, abs=1e-6)
    assert kl_divergence(probs, gaussians).item() == pytest.approx(2.436325, abs=1e-5)
    assert variance_error(probs, 1.0).item() == pytest.approx(3.961690, abs=1e-4)


def test_a_distribution_that_is_right_costs_nothing() -> None:
    gaussians = normalized_gaussians(torch.tensor([[0.1, -0.2]]), (16, 12), 1.0)
    assert jensen_shannon(gaussians, gaussians).item() == pytest.approx(0, abs=1e-6)
    assert expected_xy(gaussians)[0].tolist() == pytest.approx([0.1, -0.2], abs=1e-3)
    far = normalized_gaussians(torch.tensor([[90.0, 90.0]]), (16, 12), 1.0)
    assert far.isfinite().all()
    assert jensen_shannon(gaussians, far).isfinite().all()


def test_integral_places_lie_at_left_edges_and_can_be_debiased() -> None:
    logits = torch.full((4, 5), -30.0)
    logits[2, 1] = 30
    assert integral_xy(logits).tolist() == pytest.approx([1 / 5, 2 / 4], abs=1e-6)
    # a peak over flat ground: the formula of Gu et al., cell by cell
    logits = torch.zeros(4, 5)
    logits[2, 1] = 3
    weights = logits.exp()
    total = weights.sum()
    x = (weights.sum(0) * torch.arange(5) / 5).sum() / total
    y = (weights.sum(1) * torch.arange(4) / 4).sum() / total
    expected = [(total / (total - 1) * (value - 1 / (2 * total))).item() for value in (x, y)]
    assert integral_xy(logits, debias=True).tolist() == pytest.approx(expected, abs=1e-6)
    assert integral_xy(logits + 200, debias=True).isfinite().all()


def test_maps_of_a_mirror_image_have_mirrored_places() -> None:
    logits = torch.randn(3, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    xy, flipped = soft_argmax(logits)[0], soft_argmax(logits.flip(-1))[0]
    torch.testing.assert_close(flipped, xy * torch.tensor([-1.0, 1.0]))


POINTS = torch.tensor([[[100.3, 57.8], [12.2, 250.6]]])


def test_simcc_is_that_released() -> None:
    x, y, weights = simcc_targets(
        POINTS, torch.ones(1, 2), (192, 256), 2.0, (4.9, 5.66), 'left_aligned'
    )
    assert x.shape == (1, 2, 384)
    assert y.shape == (1, 2, 512)
    assert weights.tolist() == [[1, 1]]
    assert x.argmax(-1).tolist() == [[201, 24]]
    assert y.argmax(-1).tolist() == [[116, 501]]
    assert x.sum(-1)[0].tolist() == pytest.approx([12.2825, 12.2825], abs=1e-4)
    assert y.sum(-1)[0].tolist() == pytest.approx([14.1875, 13.7389], abs=1e-4)
    # what makes them of area 1
    normalized = (x / x.sum(-1, keepdim=True)).amax(-1), (y / y.sum(-1, keepdim=True)).amax(-1)
    assert normalized[0][0, 0].item() == pytest.approx(0.0814168, abs=1e-6)
    assert normalized[1][0, 0].item() == pytest.approx(0.0704845, abs=1e-6)
    points, scores = decode_simcc(x, y, 2.0, 'left_aligned')
    assert points.tolist() == [[[100.5, 58.0], [12.0, 250.5]]]
    assert scores.tolist() == [[1, 1]]


def test_simcc_comes_back_within_a_quarter_of_a_pixel() -> None:
    points = 64 * torch.rand(20, 3, 2, generator=torch.Generator().manual_seed(0))
    x, y, _ = simcc_targets(points, torch.ones(20, 3), (64, 64))
    found, _ = decode_simcc(x, y)
    assert (found - points).abs().max() <= 0.25 + 1e-5
    # the mirror image has mirrored vectors, but for ties
    flipped = points * torch.tensor([-1.0, 1.0]) + torch.tensor([64.0, 0.0])
    mirrored, _, _ = simcc_targets(flipped, torch.ones(20, 3), (64, 64))
    torch.testing.assert_close(mirrored, x.flip(-1))


def test_simcc_of_hidden_and_distant_points() -> None:
    points = torch.tensor([[[5.0, 5.0], [-40.0, 5.0], [torch.nan, 0.0], [-1.0, 5.0]]])
    x, y, weights = simcc_targets(points, torch.tensor([[0, 1, 1, 1]]), (16, 16))
    assert weights.tolist() == [[0, 0, 0, 1]]
    assert x[0, :3].sum() + y[0, :3].sum() == 0
    assert x.isfinite().all()
    with pytest.raises(ValueError, match='frame'):
        simcc_targets(points, torch.ones(1, 4), (16, 16), frame='corner_aligned')
