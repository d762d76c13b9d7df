"""What breaks or degrades in half precision, guarded and unguarded."""

import copy
import sys
from collections.abc import Callable

import mmcv.ops as ops
import pytest
import torch
from mmdet.models.losses import GaussianFocalLoss
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import nn

from mmext.hooks.mixed_precision.op_guards import OpGuards

LOW = [torch.bfloat16, torch.float16]


def guard(model: nn.Module, dtype: torch.dtype = torch.bfloat16, **patterns: list[str]) -> OpGuards:
    return OpGuards(model, 'cpu', dtype, **patterns)


def boxes() -> tuple[torch.Tensor, torch.Tensor]:
    corners = torch.rand(50, 2) * 200
    return torch.cat([corners, corners + 20 + torch.rand(50, 2) * 60], 1), torch.rand(50)


Cast = Callable[[torch.Tensor], torch.Tensor]


def nms(cast: Cast) -> torch.Tensor:
    b, s = boxes()
    return ops.nms(cast(b), cast(s), 0.5)[1]


def soft_nms(cast: Cast) -> torch.Tensor:
    b, s = boxes()
    return ops.soft_nms(cast(b), cast(s), 0.5)[1]


def batched_nms(cast: Cast) -> torch.Tensor:
    b, s = boxes()
    config = {'type': 'nms', 'iou_threshold': 0.5}
    return ops.batched_nms(cast(b), cast(s), torch.zeros(50).long(), config)[1]


def nms_match(cast: Cast) -> torch.Tensor:
    b, s = boxes()
    return torch.cat(ops.nms_match(cast(torch.cat([b, s[:, None]], 1)), 0.5))


def deform_conv(cast: Cast) -> torch.Tensor:
    x, offset, weight = torch.rand(1, 4, 8, 8), torch.rand(1, 18, 8, 8), torch.rand(4, 4, 3, 3)
    return ops.deform_conv2d(cast(x), cast(offset), cast(weight), 1, 1)


def roi_align(cast: Cast) -> torch.Tensor:
    rois = torch.tensor([[0, 1.0, 2, 6, 7]])
    return ops.roi_align(cast(torch.rand(1, 4, 8, 8)), cast(rois), 2)


OPERATIONS = [nms, soft_nms, batched_nms, nms_match, deform_conv, roi_align]


def seeded(op: Callable[[Cast], torch.Tensor], cast: Cast) -> torch.Tensor:
    torch.manual_seed(0)
    return op(cast)


@pytest.mark.parametrize('dtype', LOW)
@pytest.mark.parametrize('op', OPERATIONS)
def test_mmcv_takes_half_precision_under_guards(
    op: Callable[[Cast], torch.Tensor], dtype: torch.dtype
) -> None:
    expected = seeded(op, lambda x: x.to(dtype).float())
    with guard(nn.Linear(1, 1), dtype) as guards:
        assert torch.equal(seeded(op, lambda x: x.to(dtype)), expected)
        assert guards.fired
    if dtype == torch.bfloat16 or op in (nms, nms_match):  # and these fail without
        with pytest.raises((RuntimeError, NotImplementedError)):
            seeded(op, lambda x: x.to(dtype))


def test_float32_is_the_same_with_and_without() -> None:
    for op in OPERATIONS:
        plain = seeded(op, torch.Tensor.float)
        with guard(nn.Linear(1, 1)) as guards:
            assert torch.equal(seeded(op, torch.Tensor.float), plain)
            assert not +guards.fired


def test_gradients_of_guarded_operations() -> None:
    torch.manual_seed(0)
    x, offset, weight = torch.rand(1, 4, 8, 8), torch.rand(1, 18, 8, 8), torch.rand(4, 4, 3, 3)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        leaves = [t.bfloat16().to(dtype).requires_grad_() for t in (x, offset, weight)]
        with guard(nn.Linear(1, 1)):
            ops.deform_conv2d(*leaves, 1, 1).square().mean().backward()
        assert all(leaf.grad is not None and leaf.grad.dtype == dtype for leaf in leaves)
        gradients.append([leaf.grad.float() for leaf in leaves])
    for full, half in zip(*gradients, strict=True):
        assert (full - half).norm() < 0.005 * full.norm()  # of the last rounding alone


class Detector(nn.Module):
    """Features, an extractor, and RoIs at large coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.extractor = SingleRoIExtractor(
            {'type': 'RoIAlign', 'output_size': 1, 'sampling_ratio': 1}, 1, [8]
        )
        nn.init.constant_(self.conv.weight, 1)
        nn.init.constant_(self.conv.bias, 0)

    def forward(self, x: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        """Features at the centres of the RoIs."""
        return self.extractor((self.conv(x),), rois)


@pytest.mark.parametrize('dtype', LOW)
def test_roi_coordinates_are_not_rounded(dtype: torch.dtype) -> None:
    """A ramp, read at the centre of a box, tells the position of the box."""
    slope = 8 * torch.arange(168.0).expand(1, 1, 8, 168)  # multiples of 8 are exact in bf16
    rois = torch.tensor([[0, 1203.4, 8.0, 1209.4, 40.0]])  # centre 1206.4, half a cell before it
    model = Detector()
    with guard(model, dtype), torch.autocast('cpu', dtype):
        position = model(slope, rois)
    assert position.dtype == torch.float32
    assert abs(position.item() - 1202.4) < 0.01
    if dtype == torch.float16:
        with torch.autocast('cpu', dtype):
            assert abs(model(slope, rois).item() - 1202.4) > 0.1


@pytest.mark.parametrize('dtype', LOW)
def test_heatmap_loss_is_right(dtype: torch.dtype) -> None:
    model = nn.ModuleDict({'heatmap_head': nn.Conv2d(1, 1, 1), 'loss': GaussianFocalLoss()})
    nn.init.constant_(model['heatmap_head'].weight, 9)
    nn.init.constant_(model['heatmap_head'].bias, 0)
    x, target = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)

    def loss() -> torch.Tensor:
        return model['loss'](model['heatmap_head'](x).sigmoid(), target)

    expected = loss()
    with torch.autocast('cpu', dtype):
        plain = loss()
        with guard(model, dtype) as guards:
            guarded = loss()
    assert torch.equal(guarded, expected)
    assert guards.fired == {'losses': 1, 'heatmap heads': 1}
    assert abs(plain - expected) > 1  # inf in fp16, twice the value in bf16


class Scope(nn.Module):
    """Notes the dtype of a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A matrix product."""
        return self.inner(x)


def test_user_patterns() -> None:
    model = nn.ModuleDict({'a': Scope(), 'b': Scope()})
    x = torch.ones(1, 2)
    with (
        guard(model, fp32_modules=['a', 'b.inner']) as guards,
        torch.autocast('cpu', torch.bfloat16),
    ):
        assert model['a'](x).dtype == model['b'](x).dtype == torch.float32
        assert guards.fired == {'a': 1, 'b.inner': 1}
    with guard(model, fp32_modules=['Scope']), torch.autocast('cpu', torch.bfloat16):
        assert model['a'](x).dtype == model['b'](x).dtype == torch.float32
    with torch.autocast('cpu', torch.bfloat16):
        assert model['a'](x).dtype == torch.bfloat16


def test_allow_list() -> None:
    model = nn.ModuleDict({'x': GaussianFocalLoss(), 'y': GaussianFocalLoss()})
    guards = guard(model, low_precision_modules=['x'])
    with guards:
        assert guards.guarded == {'losses': 1}
    with guard(model, fp32_modules=['x'], low_precision_modules=['.*Loss']) as guards:
        assert guards.guarded == {'x': 1}


@pytest.mark.parametrize('argument', ['fp32_modules', 'low_precision_modules'])
def test_pattern_without_a_match(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}: 'roi_heads' matches no module"):
        guard(nn.ModuleDict({'roi_head': nn.Linear(1, 1)}), **{argument: ['roi_heads']})


def test_outside_autocast_nothing_happens() -> None:
    model = nn.ModuleDict({'loss': GaussianFocalLoss()})
    half = torch.rand(1, 1, 2, 2, dtype=torch.float64)
    with guard(model) as guards:
        assert model['loss'](half, half).dtype == torch.float64
        assert not guards.fired


def test_module_may_be_guarded_later() -> None:
    model = nn.ModuleDict({'a': Scope(), 'b': Scope()})
    with guard(model) as guards, torch.autocast('cpu', torch.bfloat16):
        assert model['a'](torch.ones(1, 2)).dtype == torch.bfloat16
        guards.add('a')
        assert model['a'](torch.ones(1, 2)).dtype == torch.float32
        assert model['b'](torch.ones(1, 2)).dtype == torch.bfloat16


def test_everything_is_put_back_and_nothing_is_on_instances() -> None:
    model = nn.ModuleDict({'loss': GaussianFocalLoss(), 'net': Scope()})
    classes = [GaussianFocalLoss, Scope, nn.Conv2d, sys.modules['mmcv.ops.nms'].NMSop]
    before = [dict(vars(cls)) for cls in classes]
    instances = [set(vars(module)) for module in model.modules()]
    with guard(model, fp32_modules=['net']) as guards:
        assert [dict(vars(cls)) for cls in classes] != before
        assert [set(vars(module)) for module in model.modules()] == instances
        twin = copy.deepcopy(model)
        with torch.autocast('cpu', torch.bfloat16):  # a copy is no part of the run
            assert twin['net'](torch.ones(1, 2)).dtype == torch.bfloat16
    assert [dict(vars(cls)) for cls in classes] == before
    guards.remove()  # once more does no harm


def test_guard_ends_when_the_module_raises() -> None:
    model = nn.ModuleDict({'loss': GaussianFocalLoss()})
    with guard(model) as guards, torch.autocast('cpu', torch.bfloat16):
        with pytest.raises(TypeError):
            model['loss']()
        assert guards.running is None
        assert torch.is_autocast_enabled('cpu')


def test_report() -> None:
    model = nn.ModuleDict({'loss': GaussianFocalLoss(), 'net': Scope()})
    with guard(model, fp32_modules=['net']) as guards, torch.autocast('cpu', torch.bfloat16):
        assert guards.describe() == 'net (1), losses (1), operations of mmcv'
        model['net'](torch.ones(1, 2))
        assert guards.describe_fired() == 'net 1x, losses never'


@pytest.mark.parametrize(('size', 'stride'), [((1, 1), 2), ((2, 1), 2), ((2, 2), 3)])
def test_gradient_of_strided_convolutions_of_narrow_maps(
    size: tuple[int, int], stride: int
) -> None:
    """Without the guard the weight gradient is partly whatever the memory held before."""
    torch.manual_seed(0)
    for _ in range(10):
        conv, x = nn.Conv2d(32, 32, 3, stride, 1), torch.randn(1, 32, *size)
        (expected,) = torch.autograd.grad(conv(x).square().sum(), conv.weight)
        garbage = torch.full((40_000,), float('nan'))
        del garbage
        with guard(conv) as guards, torch.autocast('cpu', torch.bfloat16):
            y = conv(x)
            assert guards.fired
        y.float().square().sum().backward()
        assert y.dtype == torch.bfloat16
        assert (conv.weight.grad - expected).norm() < 0.02 * expected.norm()
