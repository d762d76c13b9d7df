"""The CAM family against cases by hand, and the way from cells to pixels."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from mmext.explain.relevance import (
    RULES,
    LevelMap,
    eigencam,
    enlarged,
    gradcam,
    gradcam_plus_plus,
    heat,
    layercam,
    odam,
    on_input,
    smoothed,
    xgradcam,
)


def gradients_of(weights: Tensor, activations: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient ``[1, C, h, w]`` of a linear score, and the score."""
    leaf = activations.clone().requires_grad_()
    score = (weights * leaf).sum()
    return torch.autograd.grad(score, leaf)[0][None], score.detach()


@pytest.fixture
def pooled() -> tuple[Tensor, Tensor, Tensor]:
    """Activations, gradients and score of ``mean(A1) - 2 mean(A2)``."""
    activations = torch.tensor([[[1.0, 2], [3, 4]], [[0, 1], [1, 0]]])
    weights = torch.tensor([0.25, -0.5])[:, None, None].expand(2, 2, 2)
    return activations, *gradients_of(weights, activations)


@pytest.fixture
def local() -> tuple[Tensor, Tensor]:
    """Activations and gradients of a score that looks at two cells with opposite signs."""
    activations = torch.tensor([[[1.0, 2], [3, 4]]])
    return activations, gradients_of(torch.tensor([[[1.0, 0], [0, -1]]]), activations)[0]


def test_of_a_pooled_score_gradcam_is_hirescam(pooled: tuple[Tensor, Tensor, Tensor]) -> None:
    activations, gradients, score = pooled
    assert score == 1.5
    expected = [[[0.25, 0], [0.25, 1]]]
    assert gradcam(activations, gradients).tolist() == expected
    assert odam(activations, gradients).tolist() == expected
    assert odam(activations, gradients).sum() == score
    class_activation = torch.einsum('c,chw->hw', torch.tensor([1.0, -2]), activations)
    assert class_activation.tolist() == (4 * torch.tensor(expected[0])).tolist()


def test_of_a_local_score_gradcam_is_empty(local: tuple[Tensor, Tensor]) -> None:
    activations, gradients = local
    assert odam(activations, gradients).tolist() == [[[1, 0], [0, -4]]]
    assert odam(activations, gradients).sum() == -3
    assert heat(odam(activations, gradients)).tolist() == [[[1, 0], [0, 0]]]
    assert layercam(activations, gradients).tolist() == [[[1, 0], [0, 0]]]
    assert heat(gradcam(activations, gradients)).tolist() == [[[0, 0], [0, 0]]]
    weight = xgradcam(activations, gradients)[0] / activations[0]
    torch.testing.assert_close(weight, torch.full((2, 2), -0.3))
    torch.testing.assert_close(gradcam_plus_plus(activations, gradients)[0], activations[0] / 12)


@pytest.mark.parametrize('rule', [gradcam_plus_plus, xgradcam])
def test_rules_that_divide_by_sums_refuse_both_signs(rule: object) -> None:
    with pytest.raises(ValueError, match='goes down to -1'):
        rule(torch.tensor([[[1.0, -1]]]), torch.ones(1, 1, 1, 2))  # type: ignore[operator]


@pytest.mark.parametrize('name', RULES)
def test_the_map_of_a_scaled_score_has_the_same_shape(name: str) -> None:
    if name == 'gradcam++':
        pytest.skip('mixes powers of the gradient')
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(3, 4, 5, generator=generator)
    gradients = torch.randn(2, 3, 4, 5, generator=generator)
    once, twice = (heat(RULES[name](activations, factor * gradients)) for factor in (1.0, 1e-6))
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shape', [(3, 4, 5), (40, 2, 3)])
def test_eigencam_is_the_first_direction_of_the_svd(shape: tuple[int, int, int]) -> None:
    activations = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = eigencam(activations)
    rows = activations.flatten(1).T.double()
    direction = torch.linalg.svd(rows, full_matrices=False).Vh[0]
    expected = (rows @ direction).view(shape[1:]).float()
    expected = expected if expected.sum() > 0 else -expected
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(eigencam(-activations), found, rtol=1e-3, atol=1e-3)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 20), st.integers(1, 20))
def test_centered_cells_lie_as_interpolate_puts_them(h: int, w: int, H: int, W: int) -> None:  # noqa: N803
    cells = torch.randn(2, h, w, generator=torch.Generator().manual_seed(h + 7 * w))
    expected = interpolate(cells[None], (H, W), mode='bilinear', align_corners=False)[0]
    torch.testing.assert_close(enlarged(cells, (H, W)), expected, rtol=1e-4, atol=1e-5)


def test_cells_at_multiples_of_the_stride_peak_there() -> None:
    cells = torch.zeros(1, 4, 4)
    cells[0, 2, 1] = 1
    assert enlarged(cells, (32, 32), centered=False)[0].argmax() == 16 * 32 + 8


def test_levels_are_added_as_they_are() -> None:
    fine, coarse = torch.zeros(1, 8, 8), torch.zeros(1, 2, 2)
    fine[0, 3, 3], coarse[0, 1, 1] = 1.0, 1.0
    summed = on_input([LevelMap(fine), LevelMap(coarse)], (32, 32))
    alone = on_input([LevelMap(fine)], (32, 32)) + on_input([LevelMap(coarse)], (32, 32))
    torch.testing.assert_close(summed, alone)
    # both cells carry as much, the fine one on a sixteenth of the area
    assert summed[0, 12:16, 12:16].max() > 8 * summed[0, 24:, 24:].max()
    torch.testing.assert_close(on_input([LevelMap(fine)], (32, 32)).sum(), torch.tensor(1.0))


def test_a_map_without_positive_relevance_stays_empty() -> None:
    shown = heat(torch.tensor([[[-1.0, -2]], [[0, 0]], [[-1, 4]]]))
    assert shown.tolist() == [[[0, 0]], [[0, 0]], [[0, 1]]]


def test_smoothing_keeps_the_sum_and_is_scipys_inside() -> None:
    from scipy.ndimage import gaussian_filter

    maps = torch.randn(2, 40, 50, generator=torch.Generator().manual_seed(0)).double()
    found = smoothed(maps, 2.0)
    torch.testing.assert_close(found.sum((1, 2)), maps.sum((1, 2)))
    plain = gaussian_filter(maps[1].numpy(), 2.0, mode='constant', truncate=8)
    assert abs(found[1].numpy() - plain)[16:-16, 16:-16].max() < 1e-6
    corner = torch.zeros(1, 9, 9)
    corner[0, 0, 0] = 1
    assert smoothed(corner, 3.0).sum().item() == pytest.approx(1, abs=1e-6)
