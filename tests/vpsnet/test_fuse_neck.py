"""The fuse neck and its parts: sizes as published, each step against a restatement."""

import pytest
import torch
from torch.nn import functional as F

from mmext.functional.flow_warping import resize_flow, warp
from mmext.registry import MODELS
from mmext.vpsnet.fuse_neck import FuseNeck, GatedFuseNeck
from mmext.vpsnet.local_correlation import local_correlation
from mmext.vpsnet.residual_flow import ResidualFlow
from mmext.vpsnet.temporal_spatial_attention import TemporalSpatialAttention

torch.set_num_threads(1)
SIZES = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]


def count(module):
    return sum(p.numel() for p in module.parameters())


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pyramid(channels=8, sizes=SIZES, images=2, seed=0):
    return tuple(randn(images, channels, *size, seed=seed + i) for i, size in enumerate(sizes))


def build(kind):
    """As if it had learned."""
    torch.manual_seed(0)
    neck = MODELS.build(dict(type=f'mmext.{kind}', channels=8))
    neck.init_weights()
    torch.nn.init.normal_(neck.residual_flow.conv_flow.weight, std=0.3)
    return neck


@pytest.fixture
def neck():
    return build('FuseNeck')


@pytest.fixture
def gated():
    return build('GatedFuseNeck')


both_necks = pytest.mark.parametrize('kind', ['FuseNeck', 'GatedFuseNeck'])


def test_parameter_counts_of_the_released_model():
    neck = FuseNeck()
    assert count(neck.residual_flow) == 251_298
    assert count(neck.attention) == 2_885_888
    assert count(neck.refine) == 590_080
    assert count(neck) == 251_298 + 2_885_888 + 590_080


def test_gather_is_the_mean_of_all_levels_at_the_finest(neck):
    levels = pyramid()
    (gathered,) = neck.gather(levels)
    assert gathered.shape == levels[0].shape
    for y, x in ((0, 0), (7, 13), (15, 23)):
        cells = [
            level[:, :, y * level.shape[2] // 16, x * level.shape[3] // 24] for level in levels
        ]
        torch.testing.assert_close(gathered[:, :, y, x], torch.stack(cells).mean(0))


def test_scatter_adds_the_maximum_of_the_cells_below(neck):
    levels = pyramid()
    fused = randn(2, 8, 16, 24, seed=9)
    scattered = neck.scatter([fused], levels)
    torch.testing.assert_close(scattered[0], levels[0] + fused)
    below = fused[:, :, 4:8, 8:12].amax(dim=(2, 3))
    torch.testing.assert_close(scattered[2][:, :, 1, 2], levels[2][:, :, 1, 2] + below)


def test_align_warps_twice(neck):
    """Along the flow, then along what the residual adds to it: two samplings, not one."""
    target, reference = randn(1, 8, 16, 24), randn(1, 8, 16, 24, seed=1)
    flow = 6 * randn(1, 2, 64, 96, seed=2)
    at_cells = resize_flow(flow, (16, 24))
    warped = warp(reference, at_cells)
    inputs = torch.cat((target, local_correlation(target, warped), at_cells), dim=1)
    hidden = inputs
    for layer in neck.residual_flow.hidden:
        hidden = F.leaky_relu(F.conv2d(hidden, layer.conv.weight, layer.conv.bias, padding=1), 0.1)
    last = neck.residual_flow.conv_flow
    residual = F.conv2d(hidden, last.weight, last.bias, padding=1)
    assert residual.abs().max() > 0.1
    torch.testing.assert_close(neck.align(target, reference, flow), warp(warped, residual))


def test_residual_flow_starts_at_zero():
    module = ResidualFlow(channels=4)
    module.init_weights()
    residual = module(randn(1, 4, 8, 8), randn(1, 4, 8, 8, seed=1), randn(1, 2, 8, 8, seed=2))
    assert residual.shape == (1, 2, 8, 8)
    assert (residual == 0).all()


def attention_oracle(module, frames):
    """EDVR's temporal and spatial attention with one level, line by line."""

    def conv(layer, x, leaky=True):
        layer = getattr(layer, 'conv', layer)
        x = F.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)
        return torch.where(x > 0, x, 0.1 * x) if leaky else x

    centre = conv(module.embed_target, frames[:, 0], leaky=False)
    weighted = []
    for t in range(frames.shape[1]):
        embedded = conv(module.embed_frame, frames[:, t], leaky=False)
        likeness = torch.zeros_like(centre[:, 0])
        for c in range(centre.shape[1]):
            likeness = likeness + embedded[:, c] * centre[:, c]
        weighted.append(frames[:, t] / (1 + torch.exp(-likeness))[:, None])
    stacked = torch.cat(weighted, dim=1)
    fused = conv(module.fuse, stacked)
    attention = conv(module.attend, stacked)
    padded = F.pad(attention, (1, 1, 1, 1), value=-torch.inf)
    largest = F.unfold(padded.flatten(0, 1)[:, None], 3, stride=2).amax(1)
    mean = F.unfold(F.pad(attention, (1, 1, 1, 1)).flatten(0, 1)[:, None], 3, stride=2).mean(1)
    half = (-(-attention.shape[2] // 2), -(-attention.shape[3] // 2))
    pooled = torch.cat([p.view(*attention.shape[:2], *half) for p in (largest, mean)], dim=1)
    coarse = conv(module.attend_coarse, conv(module.attend_pooled, pooled))
    fine = F.interpolate(coarse, size=frames.shape[-2:], mode='bilinear')
    attention = conv(module.attend_fine, fine, leaky=False)
    shift = conv(module.shift[1], conv(module.shift[0], attention), leaky=False)
    return fused * torch.sigmoid(attention) * 2 + shift


@pytest.mark.parametrize('size', [(8, 12), (7, 9), (1, 1)])
def test_attention_equals_its_restatement_at_any_size(size):
    torch.manual_seed(0)
    module = TemporalSpatialAttention(6).double()
    frames = randn(2, 2, 6, *size).double()
    torch.testing.assert_close(module(frames), attention_oracle(module, frames))


def test_attention_starts_open_for_both_frames():
    """At full width too, where a sum over 256 products would close the sigmoid."""
    torch.manual_seed(0)
    attention = TemporalSpatialAttention(256)
    attention.init_weights()
    with torch.no_grad():
        weights = attention.temporal_weights(randn(1, 2, 256, 12, 16))
    assert weights.min() > 0.2 and weights.max() < 0.8


def test_the_target_is_weighed_too():
    torch.manual_seed(0)
    module = TemporalSpatialAttention(6)
    weights = module.temporal_weights(randn(1, 2, 6, 5, 5))
    assert weights.shape == (1, 2, 5, 5)
    assert ((weights > 0) & (weights < 1)).all()
    twice = randn(1, 1, 6, 5, 5).expand(-1, 2, -1, -1, -1)
    alike = module.temporal_weights(twice)
    torch.testing.assert_close(alike[:, 0], alike[:, 1])


@both_necks
@pytest.mark.parametrize('sizes', [SIZES, [(13, 9), (7, 5), (4, 3), (2, 2), (1, 1)]])
def test_levels_keep_their_shapes_and_everything_gets_a_gradient(kind, sizes):
    neck = build(kind)
    levels, ref_levels = (
        tuple(level.requires_grad_() for level in pyramid(sizes=sizes, seed=seed))
        for seed in (0, 20)
    )
    flow = 3 * randn(2, 2, sizes[0][0] * 4, sizes[0][1] * 4)
    fused = neck(levels, neck.gather(levels), neck.gather(ref_levels), flow)
    assert [level.shape for level in fused] == [level.shape for level in levels]
    sum(level.square().sum() for level in fused).backward()
    parts = [*levels, *ref_levels, *neck.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parts)
    assert ref_levels[0].grad.abs().max() > 0


@both_necks
def test_a_batch_of_two_is_two_batches_of_one(kind):
    neck = build(kind)
    levels, ref_levels = pyramid(), pyramid(seed=5)
    flow = 4 * randn(2, 2, 64, 96, seed=6)
    together = neck(levels, neck.gather(levels), neck.gather(ref_levels), flow)
    for i in range(2):
        own, ref_own = (tuple(level[i : i + 1] for level in part) for part in (levels, ref_levels))
        alone = neck(own, neck.gather(own), neck.gather(ref_own), flow[i : i + 1])
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b)


def test_the_gate_says_how_much_of_the_reference_is_taken(gated):
    """Shut: the level; open: the reference as aligned at the size of the level; else between."""
    levels, ref_levels = pyramid(), pyramid(seed=5)
    flow = 4 * randn(2, 2, 64, 96, seed=6)
    aligned = [gated.align(*pair, flow) for pair in zip(levels, ref_levels, strict=True)]

    def fuse():
        return gated(levels, gated.gather(levels), gated.gather(ref_levels), flow)

    for level, other, fused in zip(levels, aligned, fuse(), strict=True):
        gate = gated.gate(gated.attention(torch.stack((level, other), 1))).sigmoid()
        torch.testing.assert_close(fused, (1 - gate) * level + gate * other)
    torch.nn.init.zeros_(gated.gate.weight)
    for logit, expected in ((-1e4, levels), (1e4, aligned)):
        torch.nn.init.constant_(gated.gate.bias, logit)
        for level, fused in zip(expected, fuse(), strict=True):
            torch.testing.assert_close(fused, level)


def test_the_gate_starts_at_an_eighth():
    """At the widths of the demo and the paper, for features of unit variance."""
    for channels in (64, 256):
        torch.manual_seed(0)
        neck = GatedFuseNeck(channels)
        neck.init_weights()
        with torch.no_grad():
            gate = neck.gate(neck.attend(*randn(2, 1, channels, 12, 16))).sigmoid()
        assert 0.1 < gate.mean() < 0.2


def test_a_moved_reference_that_the_flow_undoes_looks_like_the_target(neck):
    """With the residual at zero: aligned equals the target wherever its content was in sight."""
    torch.nn.init.zeros_(neck.residual_flow.conv_flow.weight)
    torch.nn.init.zeros_(neck.residual_flow.conv_flow.bias)
    target = randn(1, 8, 16, 24)
    reference = target.roll((1, 2), dims=(2, 3))
    flow = torch.tensor([8.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 64, 96)  # 2 and 1 cells
    aligned = neck.align(target, reference, flow)
    torch.testing.assert_close(aligned[..., :14, :21], target[..., :14, :21], atol=1e-4, rtol=0)
