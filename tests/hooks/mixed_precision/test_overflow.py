"""Counting skipped steps and finding out where values stop being finite."""

import pytest
import torch
from torch import nn

from mmext.hooks.mixed_precision.overflow import (
    OverflowLog,
    first_nonfinite_gradient,
    gradient_norm,
)


def test_counts() -> None:
    log = OverflowLog(patience=2, action='warn')
    due = []
    for skipped in (True, False, True, True, True, True, False):
        log.step(skipped, scale=8.0)
        due.append(log.is_due)
    assert due == [False, False, False, True, False, True, False]
    assert (log.steps, log.skipped, log.in_a_row) == (7, 5, 0)
    assert log.skip_rate == 5 / 7


def test_scale_before_the_first_skip_is_kept() -> None:
    log = OverflowLog(patience=9, action='warn')
    for skipped, scale in ((False, 16.0), (True, 8.0), (True, 4.0)):
        log.step(skipped, scale)
    assert log.scale_before == 8


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((1, 'panic'), "on_overflow: expected one of warn, floor, fp32, abort, got 'panic'"),
        ((0, 'warn'), 'patience: expected at least 1, got 0'),
    ],
)
def test_bad_arguments(arguments: tuple[int, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OverflowLog(*arguments)


class Times(nn.Module):
    """Multiplies, also gradients."""

    def __init__(self, forward: float, backward: float = 1.0) -> None:
        super().__init__()
        self.factors = forward, backward

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The product, in a list."""
        y = x * self.factors[0]
        if self.factors[1] != 1:
            y = y * 1.0
            y.register_hook(lambda g: g * self.factors[1])
        return [y]


class Chain(nn.Module):
    """first, second and third in a row."""

    def __init__(self, first: nn.Module, second: nn.Module, third: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.third = first, second, third

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last output."""
        return self.third(self.second(self.first(x)[0])[0])[0]


@pytest.mark.parametrize(
    ('second', 'third', 'found'),
    [
        (Times(float('inf')), Times(1.0), 'output of second'),
        (Times(1.0), Times(1.0, backward=float('inf')), 'gradient at the output of third'),
        (Times(1.0, backward=float('nan')), Times(1.0), 'gradient at the output of second'),
        (Times(1.0), Times(2.0), None),
    ],
)
def test_names_the_first_place(second: nn.Module, third: nn.Module, found: str | None) -> None:
    model = Chain(Times(1.0), second, third)
    log = OverflowLog(patience=20, action='warn')
    for _ in range(2):
        log.step(True, 1.0)
    x = torch.ones(2, requires_grad=True)
    with log.watching(model):
        y = model(x)
    y.sum().backward()
    assert log.module == found


def test_does_not_look_before_the_second_skip() -> None:
    log = OverflowLog(patience=20, action='warn')
    log.step(True, 1.0)
    model = Chain(Times(float('inf')), Times(1.0), Times(1.0))
    with log.watching(model):
        model(torch.ones(1))
    assert log.module is None
    assert not torch.nn.modules.module._global_forward_hooks


def test_watch_ends_when_the_model_raises() -> None:
    log = OverflowLog(patience=20, action='warn')
    for _ in range(2):
        log.step(True, 1.0)
    with pytest.raises(TypeError), log.watching(nn.Linear(1, 1)):
        raise TypeError
    assert not torch.nn.modules.module._global_forward_hooks


def test_first_nonfinite_gradient() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    assert first_nonfinite_gradient(model) is None
    model[1].weight.grad = torch.full((1, 1), float('nan'))
    model[1].bias.grad = torch.ones(1)
    assert first_nonfinite_gradient(model) == '1.weight'


def test_gradient_norm() -> None:
    a, b, c = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    optimizer = torch.optim.SGD([{'params': [a]}, {'params': [b, c]}], lr=1.0)
    assert gradient_norm(optimizer) == 0
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert gradient_norm(optimizer) == 5
    b.grad[0] = float('inf')
    assert gradient_norm(optimizer) == float('inf')
