"""What every head has to do, whatever it predicts."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mmext.functional.landmark_coordinates import normalized_gaussians
from mmext.functional.landmark_heatmaps import STAMPS
from mmext.landmarks.heatmap_codec import HeatmapCodec
from mmext.registry import MODELS

POINTS, SIZE = 5, (48, 64)
PAIRS = torch.tensor([1, 0, 2, 4, 3])
SMALL = dict(in_channels=8, deconv_channels=(8,))
HEADS: dict[str, dict[str, Any]] = {
    'heatmap': dict(type='mmext.HeatmapHead', **SMALL),
    'adaptive wing': dict(type='mmext.HeatmapHead', loss_type='adaptive_wing', **SMALL),
    'weighted wing': dict(type='mmext.HeatmapHead', loss_type='weighted_adaptive_wing', **SMALL),
    'integral': dict(type='mmext.IntegralHead', **SMALL),
    'simcc': dict(type='mmext.SimCCHead', in_channels=8, stride=8),
    'regression': dict(type='mmext.RegressionHead', in_channels=8),
    'smooth': dict(type='mmext.RegressionHead', in_channels=8, loss_type='smooth_l1'),
    'wing': dict(type='mmext.RegressionHead', in_channels=8, loss_type='wing'),
    'rle': dict(type='mmext.RegressionHead', in_channels=8, loss_type='rle'),
}


def build(name: str) -> Any:
    torch.manual_seed(0)
    head = MODELS.build(dict(HEADS[name], num_points=POINTS, input_size=SIZE))
    # far from their initial values, which are alike for all points
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return head


def batch(count: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(count, 8, 8, 6, generator=generator)
    points = 0.2 + 0.6 * torch.rand(count, POINTS, 2, generator=generator)
    return features, points, torch.full((count, POINTS), 2.0)


def losses_of(losses: dict[str, Tensor]) -> Tensor:
    return sum(value for name, value in losses.items() if 'loss' in name)


@pytest.mark.parametrize('name', HEADS)
def test_gradients_reach_all_parameters_and_are_finite(name: str) -> None:
    head, (features, points, visible) = build(name), batch()
    losses = head.loss([features], points, visible)
    assert 'point_error' in losses
    losses_of(losses).backward()
    for parameter, value in head.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all()
    assert head.linear.weight.grad.abs().sum() > 0 if hasattr(head, 'linear') else True


@pytest.mark.parametrize('name', HEADS)
def test_no_annotated_point_costs_nothing_and_keeps_gradients(name: str) -> None:
    head, (features, points, _) = build(name), batch()
    losses = head.loss([features], points * torch.nan, torch.zeros(3, POINTS))
    total = losses_of(losses)
    assert total.item() == pytest.approx(0, abs=1e-6)
    total.backward()
    without = [n for n, p in head.named_parameters() if p.grad is None or p.grad.abs().sum() > 0]
    assert not without


@pytest.mark.parametrize('name', HEADS)
def test_hidden_points_teach_nothing(name: str) -> None:
    head, (features, points, visible) = build(name).eval(), batch()
    visible[1, 2] = 0
    moved = points.clone()
    moved[1, 2] = torch.tensor([torch.nan, -3.0])
    one, other = (losses_of(head.loss([features], p, visible)) for p in (points, moved))
    assert one.item() == pytest.approx(other.item(), rel=1e-6)


@pytest.mark.parametrize('name', HEADS)
def test_two_crops_are_twice_one(name: str) -> None:
    head, (features, _, _) = build(name).eval(), batch()
    points, scores = head.predict([features])
    assert points.shape == (3, POINTS, 2)
    assert scores.shape == (3, POINTS)
    assert ((scores >= 0) & (scores <= 1)).all()
    for number in range(3):
        alone, score = head.predict([features[number : number + 1]])
        torch.testing.assert_close(alone[0], points[number], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(score[0], scores[number], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('name', HEADS)
def test_flipped_outputs_say_the_mirrored_points(name: str) -> None:
    head, (features, _, _) = build(name).eval(), batch()
    outputs = head([features])
    twice = head.unflipped(head.unflipped(outputs, PAIRS), PAIRS)
    for there, back in zip(outputs, twice, strict=True):
        torch.testing.assert_close(there, back)
    points, scores = head.predict_by_feat(outputs)
    mirrored, others = head.predict_by_feat(head.unflipped(outputs, PAIRS))
    expected = torch.stack((1 - points[..., 0], points[..., 1]), -1)[:, PAIRS]
    torch.testing.assert_close(mirrored, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(others, scores[:, PAIRS], atol=1e-4, rtol=1e-4)


def test_perfect_outputs_come_back_and_cost_nothing() -> None:
    _, points, visible = batch()
    pixels = points * torch.tensor(SIZE)
    head = build('heatmap')
    maps, _ = head.codec.encode(points, visible, SIZE, (16, 12))
    found, scores = head.predict_by_feat((maps,))
    # a quarter of a cell: near the border of so small a map the blur sees the zeros around it
    assert ((found - points) * torch.tensor(SIZE)).abs().max() < 1.0
    assert scores.min() > 0.9
    assert head.loss_by_feat((maps,), points, visible)['loss_heatmap'].item() == 0
    for name in ('adaptive wing', 'weighted wing'):
        wing = build(name).loss_by_feat((maps,), points, visible)['loss_heatmap']
        assert wing.item() == pytest.approx(0, abs=1e-6)

    head = build('integral')
    logits = normalized_gaussians(2 * points - 1, (16, 12), 1.0).clamp(min=1e-12).log()
    found, scores = head.predict_by_feat((logits,))
    assert ((found - points) * torch.tensor(SIZE)).abs().max() < 0.2
    assert scores.min() > 0.7
    losses = head.loss_by_feat((logits,), points, visible)
    assert losses['loss_divergence'].item() == pytest.approx(0, abs=1e-4)
    assert losses['loss_point'].item() < 0.01

    from mmext.functional.landmark_coordinates import simcc_targets

    head = build('simcc')
    labels = simcc_targets(pixels, visible, SIZE, 2.0, head.sigmas)[:2]
    found, scores = head.predict_by_feat(labels)
    assert ((found - points) * torch.tensor(SIZE)).abs().max() <= 0.25 + 1e-4
    assert scores.min() > 0.99
    assert head.loss_by_feat(labels, points, visible)['loss_bins'].item() < 1e-6

    for name in ('regression', 'smooth', 'wing'):
        head = build(name)
        assert head.loss_by_feat((points,), points, visible)['loss_point'].item() == 0
        assert torch.equal(head.predict_by_feat((points,))[0], points)


def test_an_error_at_a_peak_costs_eleven_times_as_much_with_weights() -> None:
    _, points, visible = batch()
    plain, weighted = build('adaptive wing'), build('weighted wing')
    maps, _ = plain.codec.encode(points, visible, SIZE, (16, 12))
    peaks, ground = maps - 0.1 * (maps == maps.amax((2, 3), True)), maps + 0.1 * (maps < 1e-6)
    for wrong, factor in ((peaks, 11), (ground, 1)):
        one, other = (
            head.loss_by_feat((wrong,), points, visible)['loss_heatmap']
            for head in (plain, weighted)
        )
        assert other.item() == pytest.approx(factor * one.item(), rel=1e-4)


def test_rle_scores_fall_with_the_deviation_and_its_flow_is_a_density() -> None:
    head = build('rle')
    points = torch.full((1, POINTS, 2), 0.5)
    sure, unsure = (head.predict_by_feat((points, points * 0 + raw))[1] for raw in (-4.0, 1.0))
    assert (sure > 0.97).all()
    assert (unsure < 0.3).all()
    steps = torch.linspace(-6, 6, 241)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing='xy'), -1).flatten(0, 1)
    with torch.no_grad():
        mass = head.flow(grid).exp().sum() * 0.05**2
    assert mass.item() == pytest.approx(1, abs=0.01)


def test_every_stack_is_supervised_and_the_last_one_predicts() -> None:
    head = MODELS.build(
        dict(type='mmext.HeatmapHead', in_channels=None, num_points=POINTS, input_size=SIZE,
             stack_weights=(0.5, 1.0), codec=dict(stamp='newell', decoder='quarter'))
    )  # fmt: skip
    _, points, visible = batch()
    maps, _ = head.codec.encode(points, visible, SIZE, (16, 12))
    stacks = [(maps + 0.1).requires_grad_(), (maps + 0.2).requires_grad_()]
    losses = head.loss_by_feat(head(stacks), points, visible)
    assert losses['loss_heatmap_s0'].item() == pytest.approx(0.5 * 0.01, rel=1e-4)
    assert losses['loss_heatmap'].item() == pytest.approx(0.04, rel=1e-4)
    losses_of(losses).backward()
    assert all(stack.grad.abs().sum() > 0 for stack in stacks)
    last = head.eval()(stacks)
    assert len(last) == 1
    assert last[0] is stacks[1]
    assert not list(head.parameters())
    with pytest.raises(ValueError, match='stack_weights: expected 1'):
        head.loss_by_feat(last, points, visible)
    with pytest.raises(ValueError, match='state in_channels'):
        head([torch.zeros(1, 8, 16, 12)])


@pytest.mark.parametrize(
    ('stamp', 'frame', 'decoder', 'bound_px'),
    [(stamp, 'continuous', 'quarter', 3.0) for stamp in STAMPS]
    + [('dark', 'left_aligned', 'taylor', 0.1)],
)
def test_codecs_come_back(stamp: str, frame: str, decoder: str, bound_px: float) -> None:
    codec = HeatmapCodec(stamp=stamp, frame=frame, decoder=decoder)
    points = 0.3 + 0.4 * torch.rand(9, 4, 2, generator=torch.Generator().manual_seed(2))
    maps, weights = codec.encode(points, torch.ones(9, 4), (128, 96), (24, 32))
    found, _ = codec.decode(maps, (128, 96))
    assert (weights == 1).all()
    assert ((found - points) * torch.tensor([128, 96])).abs().max() <= bound_px


@pytest.mark.parametrize(
    ('frame', 'bound_px'), [('continuous', 1e-3), ('left_aligned', 1e-3), ('corner_aligned', 0.2)]
)
def test_flipped_maps_come_back_to_their_place(frame: str, bound_px: float) -> None:
    """Where a code does not shift them, the average is off by up to half a cell."""
    codec = HeatmapCodec(frame=frame)
    points = 0.3 + 0.4 * torch.rand(9, 4, 2, generator=torch.Generator().manual_seed(3))
    mirrored = torch.stack((1 - points[..., 0], points[..., 1]), -1)
    visible, size = torch.ones(9, 4), (128, 96)
    maps, _ = codec.encode(points, visible, size, (24, 32))
    others, _ = codec.encode(mirrored, visible, size, (24, 32))
    average = (maps + codec.unflipped(others, size)) / 2
    there, here = (codec.decode(m, size)[0] for m in (average, maps))
    assert ((there - here) * torch.tensor(size)).abs().max() < bound_px


def test_simcc_deviations_are_those_published() -> None:
    for size, sigmas in (
        ((192, 256), (4.9, 5.66)),
        ((256, 256), (5.66, 5.66)),
        ((288, 384), (6, 6.93)),
    ):
        head = MODELS.build(
            dict(type='mmext.SimCCHead', in_channels=2, stride=32, num_points=1, input_size=size)
        )
        assert head.sigmas == pytest.approx(sigmas, abs=0.005)


@pytest.mark.parametrize(
    ('changed', 'text'),
    [
        (dict(type='mmext.HeatmapHead', codec=dict(stamp='gauss')), 'stamp: expected one of'),
        (dict(type='mmext.HeatmapHead', codec=dict(decoder='dark')), 'codec.decoder'),
        (dict(type='mmext.HeatmapHead', codec=dict(kernel_size=8)), 'kernel_size'),
        (dict(type='mmext.HeatmapHead', loss_type='l2'), 'loss_type'),
        (dict(type='mmext.IntegralHead', sigma=0), 'sigma'),
        (dict(type='mmext.RegressionHead', loss_type='l2'), 'loss_type'),
        (dict(type='mmext.SimCCHead', stride=7), 'stride: 7 does not divide'),
        (dict(type='mmext.RegressionHead', num_points=0), 'num_points'),
    ],
)
def test_bad_arguments(changed: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        MODELS.build({**dict(in_channels=8, num_points=5, input_size=SIZE), **changed})


def test_a_level_of_another_stride_is_named() -> None:
    head = build('simcc')
    with pytest.raises(ValueError, match='stride of SimCCHead: maps have 192 cells, expected 48'):
        head([torch.zeros(1, 8, 16, 12)])


@pytest.mark.parametrize('name', HEADS)
def test_levels_that_do_not_fit_are_named(name: str) -> None:
    head = build(name)
    kind = type(head).__name__
    with pytest.raises(ValueError, match=f'in_channels of {kind}: level -1 .* has 4 .* says 8'):
        head([torch.zeros(1, 4, 8, 6)])
    head.in_index = 1
    with pytest.raises(ValueError, match=f'in_index of {kind}: there is no level 1 of 1'):
        head([torch.zeros(1, 8, 8, 6)])
