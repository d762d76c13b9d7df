"""Priors against loops, and their cache."""

import math
from itertools import product

import pytest
import torch

from mmext.retinaface.presets import PRESETS
from mmext.retinaface.priors import PriorRules, make_priors, to_corners


def plain_priors(rules: PriorRules, height: int, width: int) -> torch.Tensor:
    """One prior after the other."""
    rows = []
    for stride, sizes in zip(rules.strides, rules.sizes_px, strict=True):
        cells = range(math.ceil(height / stride)), range(math.ceil(width / stride))
        for i, j, size in product(*cells, sizes):
            first = stride / 2 if rules.first_center_px is None else rules.first_center_px
            rows.append((first + j * stride, first + i * stride, size, size))
    return torch.tensor(rows)


def level_sizes(rules: PriorRules, height: int, width: int) -> list[tuple[int, int]]:
    return [(math.ceil(height / s), math.ceil(width / s)) for s in rules.strides]


@pytest.mark.parametrize('name', PRESETS)
@pytest.mark.parametrize(('height', 'width'), [(64, 96), (75, 33)])
def test_equals_loops(name: str, height: int, width: int) -> None:
    rules = PRESETS[name].priors
    priors = make_priors(rules, level_sizes(rules, height, width))
    torch.testing.assert_close(priors, plain_priors(rules, height, width), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'count'), [('paper', 102_300), ('insightface', 16_800), ('pytorch', 16_800)]
)
def test_counts_of_the_publications_at_640(name: str, count: int) -> None:
    rules = PRESETS[name].priors
    assert make_priors(rules, level_sizes(rules, 640, 640)).shape == (count, 4)


def test_largest_sizes_of_the_paper() -> None:
    assert PRESETS['paper'].priors.sizes_px[-1] == pytest.approx((256, 322.54, 406.37), abs=0.01)


def test_made_once_and_usable_in_training_after_inference_mode() -> None:
    rules = PriorRules((8,), ((16.0,),))
    with torch.inference_mode():
        first = make_priors(rules, [(3, 5)])
    again = make_priors(rules, [(3, 5)])
    assert again is first and not first.is_inference()
    offsets = torch.zeros(15, 4, requires_grad=True)
    (offsets * again).sum().backward()
    assert torch.equal(offsets.grad, again)


def test_corners() -> None:
    assert to_corners(torch.tensor([[8.0, 6.0, 4.0, 2.0]])).tolist() == [[6.0, 5.0, 10.0, 7.0]]


def test_refuses_levels_that_differ() -> None:
    with pytest.raises(ValueError, match=r'one entry per stride, 2, got 1'):
        PriorRules((8, 16), ((16.0,),))
    with pytest.raises(ValueError, match=r'as many sizes on every level, got \[1, 2\]'):
        PriorRules((8, 16), ((16.0,), (32.0, 64.0)))
    with pytest.raises(ValueError, match='expected 1 levels, got 2'):
        make_priors(PriorRules((8,), ((16.0,),)), [(1, 1), (1, 1)])
