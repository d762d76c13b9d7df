"""Channels-last memory in a training: when it is taken, and what depends on it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from precision_training import Net, make_runner
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.hooks.mixed_precision import memory_order
from mmext.hooks.mixed_precision.memory_order import align_state, wants_channels_last
from mmext.hooks.mixed_precision.policy import choose_precision

LAST, FIRST = torch.channels_last, torch.contiguous_format
FUSED = {'optimizer': {'type': 'AdamW', 'lr': 0.01, 'fused': True}}


def hook(**more: Any) -> dict[str, Any]:
    return {'precision': 'bf16', **more}


def lies_last(weight: Tensor) -> bool:
    return weight.is_contiguous(memory_format=LAST) and not weight.is_contiguous()


@pytest.mark.parametrize(
    ('asked', 'precision', 'device_type', 'native', 'wrapped', 'expected'),
    [
        ('auto', 'bf16', 'cpu', True, False, True),
        ('auto', 'bf16', 'cpu', False, False, False),
        ('auto', 'bf16', 'cpu', True, True, False),
        ('auto', 'fp32', 'cpu', True, False, False),
        (True, 'bf16', 'cpu', False, True, True),
        (True, 'fp32', 'cpu', True, False, False),  # mmcv's operations read it as if it were not
        (False, 'bf16', 'cpu', True, False, False),
    ],
)
def test_when_it_is_taken(
    asked: bool | str,
    precision: str,
    device_type: str,
    native: bool,
    wrapped: bool,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choice = choose_precision(precision, device_type)
    monkeypatch.setattr(memory_order, 'has_native', lambda *_: native)
    assert wants_channels_last(asked, choice, device_type, wrapped) == expected


def test_another_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="channels_last: expected True, False or 'auto'"):
        make_runner(tmp_path, 2, hook=hook(channels_last='yes')).train()


@pytest.mark.parametrize('native', [True, False])
def test_auto_on_the_runner(native: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_order, 'has_native', lambda *_: native)
    runner = make_runner(tmp_path, 2, hook=hook())
    runner.train()
    assert lies_last(runner.model.conv.weight) == native


@pytest.mark.parametrize(('first', 'then'), [(True, False), (False, True), (True, True)])
def test_a_fused_optimizer_goes_on_in_the_other_order(
    first: bool, then: bool, tmp_path: Path
) -> None:
    """One walks through weight and momentum as if both lay alike: wrong, and without an error."""
    whole = make_runner(tmp_path / 'whole', 8, hook=hook(channels_last=first), wrapper=FUSED)
    whole.train()
    make_runner(tmp_path / 'part', 4, hook=hook(channels_last=first), wrapper=FUSED).train()
    saved = torch.load(tmp_path / 'part/iter_4.pth', weights_only=False)['optimizer']
    assert all(v.is_contiguous() for s in saved['state'].values() for v in s.values())
    settings = {'hook': hook(channels_last=then), 'wrapper': FUSED, 'resume': True}
    resumed = make_runner(tmp_path / 'part', 8, **settings)
    resumed.train()
    assert lies_last(resumed.model.conv.weight) == then
    torch.testing.assert_close(
        resumed.model.conv.weight, whole.model.conv.weight, rtol=0.02, atol=1e-3
    )


@pytest.mark.parametrize('kind', [torch.optim.AdamW, torch.optim.SGD])
def test_aligned_state_gives_the_same_step(kind: Any) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(4, 3, 3, 3), torch.randn(3, 4, 3, 3, 3)

    def trained(orders: tuple[torch.memory_format, ...]) -> Tensor:
        weight = nn.Parameter(start.clone())
        settings = {'momentum': 0.9} if kind is torch.optim.SGD else {}
        optimizer = kind([weight], lr=0.1, fused=True, **settings)
        for order, gradient in zip(orders, gradients, strict=True):
            weight.data = weight.data.clone(memory_format=order)
            weight.grad = gradient.clone(memory_format=order)
            align_state(optimizer)
            optimizer.step()
        return weight.detach()

    torch.testing.assert_close(trained((LAST, FIRST, LAST)), trained((FIRST,) * 3))


class Viewing(nn.BatchNorm2d):
    """Reads a map as if channels came first, as attention of some hosts does."""

    def forward(self, x: Tensor) -> Tensor:
        """The map; its statistics have changed when the view fails."""
        result = super().forward(x)
        return result.view(len(x), -1).view_as(x)


def test_a_layer_that_views_a_map_ends_it(tmp_path: Path) -> None:
    torch.manual_seed(3)
    last, plain = Net(), Net()
    last.norm, plain.norm = Viewing(8), Viewing(8)
    plain.load_state_dict(last.state_dict())
    runners = [
        make_runner(tmp_path / str(order), 4, model=model, hook=hook(channels_last=order))
        for order, model in ((True, last), (False, plain))
    ]
    for runner in runners:
        runner.train()
    assert not lies_last(last.conv.weight)
    for name, value in plain.state_dict().items():  # the step, BatchNorm's too, was done once
        torch.testing.assert_close(last.state_dict()[name], value, rtol=0.02, atol=1e-3)
    assert last.norm.num_batches_tracked == 4


def test_other_errors_of_a_step_stay(tmp_path: Path) -> None:
    model = Net()
    model.head = nn.Linear(9, 1)
    with pytest.raises(RuntimeError, match='shapes cannot be multiplied'):
        make_runner(tmp_path, 2, model=model, hook=hook(channels_last=True)).train()
