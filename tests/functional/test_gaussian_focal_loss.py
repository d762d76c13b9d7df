import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmext.functional import gaussian_focal_loss as module
from mmext.functional.gaussian_focal_loss import gaussian_focal_loss
from mmext.functional.gaussian_targets import Heatmaps, SparseMaps


def loss_by_loops(logits: Tensor, targets: Tensor) -> float:
    total, positives = 0.0, 0
    for x, t in zip(logits.flatten().tolist(), targets.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        if t == 1:
            positives += 1
            total -= (1 - p) ** 2 * math.log(p)
        else:
            total -= (1 - t) ** 4 * p**2 * math.log(1 - p)
    return total / max(positives, 1)


def case(seed: int = 0, positives: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    logits, targets = 3 * torch.randn(2, 3, 5, 7), torch.rand(2, 3, 5, 7).pow(4)
    targets[targets < 0.1] = 0
    targets.view(-1)[torch.randperm(targets.numel())[:positives]] = 1
    return logits, targets


def sparse(targets: Tensor) -> SparseMaps:
    cells = targets.flatten().nonzero()[:, 0]
    return SparseMaps(cells, targets.flatten()[cells], tuple(targets.shape))


@pytest.mark.parametrize('positives', [0, 1, 30])
@pytest.mark.parametrize('form', [sparse, Tensor.clone])
def test_equals_loops(positives: int, form: Callable[[Tensor], Heatmaps]) -> None:
    logits, targets = case(1, positives)
    before = logits.clone(), targets.clone()
    loss = gaussian_focal_loss(logits, form(targets))
    assert float(loss) == pytest.approx(loss_by_loops(logits, targets), rel=1e-5)
    assert torch.equal(logits, before[0])
    assert torch.equal(targets, before[1])


def test_by_hand() -> None:
    # p = 1/2: one positive cell, (1/2)^2 log 2; one of target 1/2, (1/2)^4 (1/2)^2 log 2
    loss = gaussian_focal_loss(torch.zeros(2), torch.tensor([1.0, 0.5]))
    assert float(loss) == pytest.approx((1 / 4 + 1 / 64) * math.log(2))


@pytest.mark.parametrize('piece', [7, 1 << 16])
@pytest.mark.parametrize('form', [sparse, Tensor.clone])
def test_gradient(
    form: Callable[[Tensor], Heatmaps], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, '_PIECE_CPU', piece)
    logits, targets = case()
    logits = logits.requires_grad_()
    (2 * gaussian_focal_loss(logits, form(targets))).backward()
    exact = logits.detach().double().requires_grad_()
    p = exact.sigmoid()
    terms = torch.where(
        targets == 1, (1 - p) ** 2 * p.log(), (1 - targets) ** 4 * p**2 * (1 - p).log()
    )
    (-2 * terms.sum() / (targets == 1).sum()).backward()
    assert torch.allclose(logits.grad, exact.grad.float(), atol=1e-6)


def test_sure_and_wrong_keeps_its_gradient() -> None:
    logits = torch.tensor([60.0, -60.0], requires_grad=True)
    targets = torch.tensor([0.0, 1.0])
    for form in (sparse(targets), targets):
        loss = gaussian_focal_loss(logits, form)
        assert loss.item() == pytest.approx(120)
        assert torch.autograd.grad(loss, logits)[0].tolist() == pytest.approx([1.0, -1.0])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('form', [sparse, Tensor.clone])
def test_half_precision(dtype: torch.dtype, form: Callable[[Tensor], Heatmaps]) -> None:
    logits, dense = case()
    targets = form(dense)
    half = (4 * logits).to(dtype).requires_grad_()
    loss = gaussian_focal_loss(half, targets)
    loss.backward()
    assert loss.dtype == torch.float32
    expected = gaussian_focal_loss(half.detach().float(), targets)
    assert loss.item() == pytest.approx(expected.item())
    assert half.grad.dtype == dtype
    assert half.grad.isfinite().all()


@pytest.mark.parametrize('form', [sparse, Tensor.clone])
def test_any_memory_format(form: Callable[[Tensor], Heatmaps]) -> None:
    logits, dense = case()
    targets = form(dense)
    nhwc = logits.to(memory_format=torch.channels_last).requires_grad_()
    loss = gaussian_focal_loss(nhwc, targets)
    loss.backward()
    plain = logits.clone().requires_grad_()
    gaussian_focal_loss(plain, targets).backward()
    assert torch.equal(nhwc.grad, plain.grad)


def test_no_cells_and_wrong_shapes() -> None:
    empty = torch.zeros(0, 3, 4, 4)
    assert gaussian_focal_loss(empty, empty).item() == 0
    assert gaussian_focal_loss(empty, sparse(empty)).item() == 0
    logits = torch.zeros(1, 2, 2, 2)  # nothing on the maps
    assert gaussian_focal_loss(logits, sparse(logits)).item() == pytest.approx(2 * math.log(2))
    with pytest.raises(ValueError, match=r'targets: expected \[2, 3\], got \[3, 2\]'):
        gaussian_focal_loss(torch.zeros(2, 3), torch.zeros(3, 2))
