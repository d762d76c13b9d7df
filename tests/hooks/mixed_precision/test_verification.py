"""The census of dtypes."""

import pytest
import torch
from torch import nn

from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.verification import DtypeCensus


class Plain(nn.Module):
    """A convolution and a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.linear = nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both."""
        return self.linear(self.conv(x).mean((2, 3)))


class Stubborn(Plain):
    """Turns autocast on again."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As above."""
        with torch.autocast('cpu', torch.bfloat16):
            return super().forward(x)


def census(model: nn.Module, autocast: bool = True, **patterns: list[str]) -> DtypeCensus:
    with OpGuards(model, 'cpu', torch.bfloat16, **patterns) as guards:
        counts = DtypeCensus(guards)
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast), counts:
            model(torch.ones(1, 1, 2, 2))
    return counts


def test_counts_convolutions_and_products() -> None:
    counts = census(Plain())
    counts.check()
    assert counts.compute == {torch.bfloat16: 2}
    assert counts.describe().endswith('of one forward pass: 2 in bfloat16')


def test_part_in_float32_is_fine() -> None:
    counts = census(Plain(), fp32_modules=['linear'])
    counts.check()
    assert counts.compute == {torch.bfloat16: 1, torch.float32: 1}


@pytest.mark.parametrize(('autocast', 'patterns'), [(True, ['Plain']), (False, [])])
def test_fails_when_nothing_ran_low(autocast: bool, patterns: list[str]) -> None:
    counts = census(Plain(), autocast, fp32_modules=patterns)
    with pytest.raises(RuntimeError, match=r'nothing ran in half precision; .* 2 in float32'):
        counts.check()


def test_fails_when_a_listed_module_ran_low() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1), Stubborn())
    counts = census(model, fp32_modules=['Stubborn'])
    with pytest.raises(RuntimeError, match='that are to run in fp32: Stubborn: convolution 1x'):
        counts.check()
