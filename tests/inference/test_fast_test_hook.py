"""A test predicts with a fast copy, in the precision of the config, and leaves the model."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from torch import nn

from mmext.hooks.mixed_precision.hook import MixedPrecisionHook
from mmext.inference.fast_test_hook import FastTestHook


class Detector(nn.Module):
    """A convolution and its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(inputs))

    def test_step(self, inputs: torch.Tensor) -> list[Any]:
        return [DetDataSample(metainfo=dict(dtype=self.conv(inputs).dtype))]


@pytest.mark.parametrize(
    ('hooks', 'asked', 'dtype'),
    [
        ([], None, torch.float32),
        ([MixedPrecisionHook(precision='bf16')], None, torch.bfloat16),
        ([MixedPrecisionHook(precision='bf16', val=False)], None, torch.float32),
        ([MixedPrecisionHook(precision='bf16')], 'fp32', torch.float32),
        ([], 'bf16', torch.bfloat16),
    ],
    ids=['plain', 'configured', 'for training alone', 'fp32 asked for', 'bf16 asked for'],
)
def test_precision(hooks: list[Any], asked: str | None, dtype: torch.dtype) -> None:
    model = Detector().eval()
    runner: Any = SimpleNamespace(model=model, hooks=hooks)
    hook = FastTestHook(asked)
    hook.before_test_epoch(runner)
    assert runner.model is not model
    (sample,) = runner.model.test_step(torch.randn(1, 3, 8, 8))
    assert sample.dtype == dtype
    hook.after_test_epoch(runner)
    assert runner.model is model
