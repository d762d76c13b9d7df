"""The time of a prediction in parts, on a detector whose parts take known times."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from mmext.benchmark.stages import NetClock

NOW = [0.0]  # seconds: a clock that only :func:`spend` moves


def spend(seconds: float) -> None:
    NOW[0] += seconds


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(perf_counter=lambda: NOW[0])
    monkeypatch.setattr('mmext.benchmark.stages.time', clock)


class Layer(nn.Module):
    """Takes time in its call, and in the call of a layer inside."""

    def __init__(self, seconds: float, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.seconds = seconds
        self.inner = inner or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        spend(self.seconds)
        return self.inner(x)


class Proposals(nn.Module):
    """A proposal head: its decoding is the net's, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Layer(0.01)

    def predict(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        spend(0.03)  # suppression
        return x


class Detector(nn.Module):
    """60 ms of net, 20 ms of post-processing."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.data_preprocessor = Layer(0.05)
        self.backbone = Layer(0.01, Layer(0.01))
        self.rpn_head = Proposals()
        self.broken = broken

    def forward(self, x: Tensor) -> Tensor:
        x = self.data_preprocessor(x)
        x = self.rpn_head.predict(self.backbone(x))
        if self.broken:
            raise RuntimeError('no')
        spend(0.02)  # masks
        return x


def test_net_is_the_outermost_calls_and_the_proposals() -> None:
    detector, waits = Detector(), []
    clock = NetClock(detector, lambda: waits.append(1))
    for _ in range(2):
        with clock.running():
            detector(torch.zeros(1))
        assert clock.milliseconds == pytest.approx(60)
    assert len(waits) == 2 * 2 * 2  # before and after backbone and proposals


@pytest.mark.parametrize('broken', [False, True])
def test_leaves_the_detector_as_it_was(broken: bool) -> None:
    detector = Detector(broken=broken)
    clock = NetClock(detector, lambda: None)
    try:
        with clock.running():
            detector(torch.zeros(1))
    except RuntimeError:
        assert broken
    before = clock.milliseconds
    assert 'predict' not in vars(detector.rpn_head)
    detector.broken = False
    detector(torch.zeros(1))
    assert clock.milliseconds == before
    with clock.running():
        detector(torch.zeros(1))
    assert clock.milliseconds == pytest.approx(60)
