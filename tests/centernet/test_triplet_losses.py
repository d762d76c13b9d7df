"""Grouping and offset losses against the formulas, term by term."""

import numpy as np
import pytest
import torch

from mmext.centernet.triplet_losses import offset_loss, pull_push_loss

EPS = 1e-4


def oracle(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Pull and push of one image with tags [n]."""
    n = len(first)
    means = (first + second) / 2
    pull = sum(
        ((a - m) ** 2 + (b - m) ** 2) / (n + EPS)
        for a, b, m in zip(first, second, means, strict=True)
    )
    push = 0.0
    for a in means:
        for b in means:
            push += (max(0.0, 1 - abs(a - b)) - 1 / (n + EPS)) / (n * (n - 1) + EPS)
    return pull, push


@pytest.mark.parametrize('counts', [(4, 0, 7), (2, 2), (0,), (1, 5)])
def test_sums_of_the_formula(counts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    most = max(counts)
    first, second = rng.normal(0, 1, (2, len(counts), most))
    is_object = torch.arange(most) < torch.tensor(counts)[:, None]
    pulls, pushes = pull_push_loss(torch.tensor(first), torch.tensor(second), is_object)
    each = np.array([oracle(first[i, :n], second[i, :n]) for i, n in enumerate(counts)])
    np.testing.assert_allclose([pulls, pushes], each.sum(0), rtol=1e-9)
    means = pull_push_loss(torch.tensor(first), torch.tensor(second), is_object, 'mean')
    np.testing.assert_allclose(means, each.mean(0), rtol=1e-9)


def test_right_tags_cost_nothing() -> None:
    tags = torch.tensor([[0.0, 2, 4, 6]], dtype=torch.double)
    pull, push = pull_push_loss(tags, tags, torch.ones(1, 4, dtype=torch.bool))
    assert pull == 0
    # the diagonal's ones and what is subtracted cancel out but for the EPS
    assert abs(push) < 1e-4


def test_a_shared_tag_is_pushed_apart() -> None:
    tags = torch.tensor([[0.1, 0.0]], requires_grad=True)
    _, push = pull_push_loss(tags, tags, torch.ones(1, 2, dtype=torch.bool))
    push.backward()
    assert tags.grad[0, 0] < 0 < tags.grad[0, 1]


@pytest.mark.parametrize('count', [0, 1, 5])
def test_offsets(count: int) -> None:
    rng = np.random.default_rng(count)
    offsets, targets = rng.uniform(-2, 2, (2, 2, 6, 2))
    is_object = np.zeros((2, 6), bool)
    is_object[0, :count] = True
    errors = np.abs(offsets - targets)[is_object]
    expected = np.where(errors < 1, errors**2 / 2, errors - 0.5).sum() / (count + EPS)
    actual = offset_loss(torch.tensor(offsets), torch.tensor(targets), torch.tensor(is_object))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_unknown_reduction() -> None:
    with pytest.raises(ValueError, match=r"reduction: .* got 'max'"):
        pull_push_loss(torch.zeros(1, 0), torch.zeros(1, 0), torch.zeros(1, 0).bool(), 'max')  # type: ignore[arg-type]
