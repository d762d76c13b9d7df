"""Methods by captum, as we call it, against cases by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mmext.explain import captum_methods as by_captum
from mmext.explain.captum_methods import Settings
from mmext.explain.geometry import Frame
from mmext.explain.gradient_maps import Slopes, input_maps
from mmext.explain.network import Prepared

Score = Callable[[Tensor, str], Tensor]


def prepared(values: list[list[float]]) -> Prepared:
    """An input whose first channel has these values."""
    inputs = torch.zeros(1, 3, len(values), len(values[0]))
    inputs[0, 0] = torch.tensor(values)
    size = len(values), len(values[0])
    return Prepared(np.zeros((*size, 3), np.uint8), inputs, {}, Frame(0, 0, size, size))


def of_first_channel(score: Callable[[Tensor], Tensor]) -> Score:
    return lambda inputs, scale: score(inputs[:, 0].flatten(1))[:, None]


SATURATED = of_first_channel(lambda x: 1 - torch.relu(1 - x[:, 0]))
PRODUCT = of_first_channel(lambda x: x[:, 0] * x[:, 1])


def input_times_gradient(score: Score, image: Prepared) -> Tensor:
    inputs = image.inputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(inputs, 'score').sum(), inputs)
    return input_maps('inputxgrad', Slopes([], [], slope, slope.sum()), image.inputs)[0]


def test_of_a_saturated_score_only_the_path_knows() -> None:
    image = prepared([[2.0]])
    assert input_times_gradient(SATURATED, image).item() == 0
    path = by_captum.integrated_gradients(SATURATED, image, 0, Settings(steps=100))
    assert path.relevance.item() == pytest.approx(1, abs=0.02)
    assert path.gap < 0.02
    assert by_captum.occlusion(SATURATED, image, 0, 1, Settings()).item() == 1


def test_the_way_is_walked_in_smaller_steps_where_the_score_bends() -> None:
    """A kink and a steep rise: equal steps miss what halving the worst piece finds."""
    image = prepared([[2.0, 1.0]])
    bent = of_first_channel(lambda x: torch.relu(x[:, 0] - 1.51) + (60 * (x[:, 1] - 0.3)).sigmoid())
    path = by_captum.integrated_gradients(bent, image, 0, Settings(steps=16))
    assert path.gap <= by_captum.COMPLETE
    assert 16 < path.steps <= by_captum.MORE * 16
    assert path.relevance[0].tolist() == pytest.approx([0.49, 1], abs=0.01)
    plain = by_captum.integrated_gradients(PRODUCT, image, 0, Settings(steps=16))
    assert plain.steps == 16, 'no more where they suffice'


def test_a_jump_is_not_completed_and_says_so() -> None:
    image = prepared([[2.0]])
    jump = of_first_channel(lambda x: x[:, 0] * 0.1 + (x[:, 0] > 1.13).double())
    path = by_captum.integrated_gradients(jump, image, 0, Settings(steps=8))
    assert path.gap == pytest.approx(1 / 1.2, abs=1e-3)
    assert path.relevance.item() == pytest.approx(0.2)
    assert path.steps <= by_captum.MORE * 8


def test_a_product_is_shared_out() -> None:
    image = prepared([[2.0, 3]])
    path = by_captum.integrated_gradients(PRODUCT, image, 0, Settings(steps=8))
    torch.testing.assert_close(path.relevance, torch.tensor([[3.0, 3]]))
    assert path.gap < 1e-5
    assert input_times_gradient(PRODUCT, image).tolist() == [[6, 6]]
    segments = torch.tensor([[0, 1]])
    alone = by_captum.of_segments(PRODUCT, image, 0, segments, False, Settings())
    assert alone.tolist() == [6, 6]
    shared = by_captum.of_segments(PRODUCT, image, 0, segments, True, Settings(samples=400))
    torch.testing.assert_close(shared, torch.tensor([3.0, 3]), atol=0.5, rtol=0)
    assert shared.sum().item() == pytest.approx(6)


def test_shapley_of_a_product_and_a_term() -> None:
    score = of_first_channel(lambda x: x[:, 0] * x[:, 1] + x[:, 2])
    image, segments = prepared([[1.0, 1, 1]]), torch.tensor([[0, 1, 2]])
    alone = by_captum.of_segments(score, image, 0, segments, False, Settings())
    assert alone.tolist() == [1, 1, 1]
    shared = by_captum.of_segments(score, image, 0, segments, True, Settings(samples=600))
    torch.testing.assert_close(shared, torch.tensor([0.5, 0.5, 1]), atol=0.08, rtol=0)


def test_occlusion_of_a_sum() -> None:
    """Windows of 2 at every pixel: each pixel has the mean of the windows that cover it."""
    weights = torch.tensor([1.0, 2, 3, 4])
    score = of_first_channel(lambda x: x.view(-1, 2, 4).sum(1) @ weights / 2)
    found = by_captum.occlusion(score, prepared([[1.0] * 4] * 2), 0, 2, Settings(block=3))
    assert found.tolist() == [[3, 4, 6, 7]] * 2


def test_the_noise_is_drawn_from_the_seed_and_the_program_keeps_its_own() -> None:
    image = prepared([[2.0, 3], [1, 4]])
    states = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    for method in (by_captum.smoothed, by_captum.gradient_shap):
        runs = [method(PRODUCT, image, 0, Settings(samples=3, seed=s)) for s in (0, 0, 1)]
        assert torch.equal(runs[0], runs[1])
        assert not torch.equal(runs[0], runs[2])
    assert torch.equal(states[0], torch.random.get_rng_state())
    assert states[1] == np.random.get_state()[1].tolist()
