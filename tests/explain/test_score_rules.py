"""Rules of scores: each is found by its value and its derivatives, and goes on where they end."""

import math

import pytest
import torch
from torch import Tensor

from mmext.explain.score_rules import Factor, Key, Rule, find_rule, raw_of

KEY, OTHER, THIRD = Key('head', 0, 0), Key('head', 0, 1), Key('head', 1, 0)


def found(score: Tensor, outputs: dict[Key, Tensor], lengths: tuple[int, ...] = ()) -> Rule | None:
    slopes = torch.autograd.grad(score, list(outputs.values()), allow_unused=True)
    named = zip(outputs, slopes, strict=True)
    known = {key: slope for key, slope in named if slope is not None and slope.any()}
    plain = {key: tensor.detach() for key, tensor in outputs.items()}
    return find_rule(float(score.detach()), plain, known, lengths)


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).requires_grad_()


def test_cells() -> None:
    a, b = maps(1, 3, 4, 4), maps(1, 1, 4, 4, seed=1)
    cell, other = a[0, 2, 1, 3], b[0, 0, 1, 3]
    rule = found(cell.sigmoid(), {KEY: a, OTHER: b})
    assert rule == Rule((Factor(KEY, (0, 2, 1, 3)),), 'sigmoid')
    both = found(cell.sigmoid() * other.sigmoid(), {KEY: a, OTHER: b})
    assert both is not None
    assert both.name == 'product of 2 sigmoids'
    root = found((cell.sigmoid() * other.sigmoid()).sqrt(), {KEY: a, OTHER: b})
    assert root is not None
    assert root.combination == 'root'
    corners = found((a[0, 0, 0, 0].sigmoid() + 3 * other.sigmoid()) / 4, {KEY: a, OTHER: b})
    assert corners is not None
    assert corners.weights == pytest.approx((0.25, 0.75), abs=1e-5)


def test_a_probability_is_taken_as_it_is() -> None:
    a = torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    rule = found(a[0, 1, 2, 0] * 1, {KEY: a})
    assert rule is not None
    assert rule.activation == 'value'


def test_rows() -> None:
    a, b = maps(5, 4), maps(5, 4, seed=1)
    rule = found(a[3].softmax(0)[1], {KEY: a})
    assert rule == Rule((Factor(KEY, (3, 0), 1, 4, 1),), 'softmax')
    mean = found((a[3].softmax(0)[1] + b[3].softmax(0)[1]) / 2, {KEY: a, OTHER: b})
    assert mean is not None
    assert mean.name == 'mean of 2 softmaxes'
    merged = found(((a[3] + b[3]) / 2).softmax(0)[1], {KEY: a, OTHER: b})
    assert merged is not None
    assert merged.name == 'softmax of the mean of 2'


def test_a_row_among_the_channels_of_a_map() -> None:
    a = maps(1, 12, 3, 3)  # three anchors of four classes
    rule = found(a[0, 4:8, 1, 2].softmax(0)[2], {KEY: a}, (4,))
    assert rule == Rule((Factor(KEY, (0, 4, 1, 2), 1, 4, 2),), 'softmax')
    assert found(a[0, 4:8, 1, 2].softmax(0)[2], {KEY: a}, (5,)) is None


def test_a_score_of_many_things_has_no_rule() -> None:
    a, b = maps(5, 4), maps(1, 28, 28)
    assert found(a[3].softmax(0)[1] * b.sigmoid().mean(), {KEY: a, OTHER: b}) is None
    rows = maps(5, 4), maps(5, 9, seed=2)
    mixed = rows[0][3].softmax(0)[1] * rows[1][3].max().sigmoid().square()
    assert found(mixed, {KEY: rows[0], OTHER: rows[1]}) is None


@pytest.mark.parametrize(
    'rule',
    [
        Rule((Factor(KEY, (0,)),), 'sigmoid'),
        Rule((Factor(KEY, (0,)), Factor(OTHER, (0,))), 'sigmoid'),
        Rule((Factor(KEY, (0,)), Factor(OTHER, (0,))), 'sigmoid', 'root'),
        Rule((Factor(KEY, (0,)), Factor(OTHER, (0,))), 'sigmoid', 'sum', (0.25, 0.5)),
    ],
)
def test_log_odds_are_those_of_the_score(rule: Rule) -> None:
    raw = [torch.tensor([0.7, -2.0]), torch.tensor([1.5, 0.1])][: len(rule.factors)]
    score = rule.score(raw)
    torch.testing.assert_close(rule.log_odds(raw), torch.log(score / (1 - score)))


def test_log_odds_go_on_where_the_score_is_1() -> None:
    sigmoid = Rule((Factor(KEY, (0,)),), 'sigmoid')
    product = Rule((Factor(KEY, (0,)), Factor(OTHER, (0,))), 'sigmoid')
    softmax = Rule((Factor(KEY, (0, 0), 1, 3, 1),), 'softmax')
    high = torch.tensor([30.0], requires_grad=True)
    assert torch.sigmoid(high) == 1
    assert sigmoid.log_odds([high]).item() == 30
    value = product.log_odds([high, high])
    assert value.item() == pytest.approx(30 - math.log(2), abs=1e-3)
    (slope,) = torch.autograd.grad(value, high)
    assert slope.item() == pytest.approx(1, abs=1e-3)
    row = torch.tensor([[-10.0, 40.0, -10.0]])
    assert softmax.log_odds([row]).item() == pytest.approx(50 - math.log(2), abs=1e-6)


def test_images_of_a_batch_may_lie_along_any_axis() -> None:
    rows = torch.arange(24.0).view(6, 4)  # two images of three regions
    factor = Factor(KEY, (1, 0), 1, 4, 2)
    assert raw_of(factor, rows, 3, 0, 2).tolist() == [rows[1].tolist(), rows[4].tolist()]
    layers = torch.arange(24.0).view(3, 2, 4)  # decoder layers, images, queries
    cell = Factor(KEY, (2, 0, 3))
    assert raw_of(cell, layers, 1, 1, 2).tolist() == [layers[2, 0, 3], layers[2, 1, 3]]


def test_a_score_near_one_is_rounded_and_has_its_rule() -> None:
    """1 - score has float32's steps of 6e-8: the derivative is off by a third, the rule is not."""
    a = torch.full((1, 2, 3, 3), 15.7).requires_grad_()
    rule = found(a[0, 1, 2, 0].sigmoid(), {KEY: a})
    assert rule == Rule((Factor(KEY, (0, 1, 2, 0)),), 'sigmoid')
    b = torch.tensor([[16.0, 0.3, -1.0, 0.2]]).requires_grad_()
    row = found(b[0].softmax(0)[0], {KEY: b})
    assert row == Rule((Factor(KEY, (0, 0), 1, 4, 0),), 'softmax')
    c = torch.tensor([[1.0, 40.0, 0.0, 2.0]]).requires_grad_()
    certain = found(c[0].softmax(0)[1], {KEY: c})
    assert certain == Rule((Factor(KEY, (0, 0), 1, 4, 1),), 'softmax'), 'its own slope is 0'
