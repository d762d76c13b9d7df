"""What each stage learns, from what, and what stays as it is."""

import math
from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from small_yolact import Box, make_sample, small_model, small_video_model
from torch import Tensor

from mmext.errors import InputError
from mmext.yolact_edge.feature_warping import in_cells
from mmext.yolact_edge.flow_net import FINEST
from mmext.yolact_edge.propagation import FeaturePropagation
from mmext.yolact_edge.video_losses import (
    cosine_loss,
    endpoint_error_loss,
    flow_targets,
    frozen_smoothing,
    matching_loss,
)

SIZE = (64, 96)
BOX: Box = (8, 8, 56, 40)


def stage(kind: str) -> Any:
    return small_video_model(type=f'mmext.YolactEdge{kind}Stage').train()


def pair(count: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(img=torch.randn(count, 3, *SIZE), ref_img=torch.randn(count, 3, *SIZE))


def flow_samples(shift: tuple[float, float], count: int = 2) -> list[DetDataSample]:
    """Images of 60 x 90 on the canvas of 64 x 96 that move by (x, y) px."""
    samples = []
    for _ in range(count):
        sample = DetDataSample(metainfo=dict(img_shape=(60, 90)))
        sample.gt_flow = torch.tensor(shift).view(2, 1, 1).expand(2, 60, 90)
        sample.flow_valid = torch.ones(60, 90, dtype=torch.bool)
        samples.append(sample)
    return samples


def learning(model: Any, losses: dict[str, Tensor]) -> set[str]:
    """The parameters that get a gradient."""
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name for name, p in model.named_parameters() if p.grad is not None}


def test_the_flow_stage_learns_flow_alone() -> None:
    """And every parameter that asks for a gradient gets one."""
    model = stage('Flow')
    losses = model.loss(pair(), flow_samples((3.0, -2.0)))
    assert set(losses) == {'loss_flow', 'flow_error_px'}
    learned = learning(model, losses)
    assert learned == {n for n, p in model.named_parameters() if p.requires_grad}
    assert all(name.startswith('propagation.') for name in learned)
    assert not any(part in name for name in learned for part in ('.scale.', '.bias.', 'correct'))
    assert any('predictions.0' in name for name in learned)
    assert not model.backbone.training


def test_the_error_of_who_sees_no_motion_is_the_motion() -> None:
    model = stage('Flow')
    for prediction in model.propagation.flow_net.predictions:
        torch.nn.init.zeros_(prediction.flow.weight)
    losses = model.loss(pair(), flow_samples((3.0, -2.0)))
    assert losses['flow_error_px'].item() == pytest.approx(math.hypot(3, 2), rel=1e-4)


def test_the_joint_stage_learns_what_is_used_between_keys() -> None:
    model = stage('Joint')
    samples = [make_sample([BOX], [0], SIZE), make_sample([], [], SIZE)]
    losses = model.loss(pair(), samples)
    whole = {'loss_cls', 'loss_bbox', 'loss_mask', 'loss_segm'}
    assert set(losses) == whole | {f'{name}_between' for name in whole} | {'loss_matching'}
    assert all(value.isfinite() for value in losses.values())
    learned = learning(model, losses)
    assert learned == {n for n, p in model.named_parameters() if p.requires_grad}
    starts = {name.split('.')[0] for name in learned}
    assert starts == {'neck', 'bbox_head', 'mask_head', 'propagation'}
    assert not any(name.startswith('neck.phase_1') for name in learned)
    assert any('corrections' in name for name in learned)
    assert not any('flow_net.predictions.0' in name for name in learned)


def test_a_stage_loads_the_one_before() -> None:
    """Names are the same; an image model lacks the propagation alone."""
    classes = dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1))
    image = small_model(**classes).state_dict()
    flow, joint = (stage(kind).state_dict() for kind in ('Flow', 'Joint'))
    stream = small_video_model().state_dict()
    assert flow.keys() == joint.keys() == stream.keys()
    assert image.keys() == {key for key in flow if not key.startswith('propagation.')}


def test_no_motion_costs_the_same_on_both_ways() -> None:
    """A frame that is its own reference, before anything is learned."""
    model = stage('Joint')
    for prediction in model.propagation.flow_net.predictions:
        torch.nn.init.zeros_(prediction.flow.weight)
    frames = pair()['img']
    samples = [make_sample([BOX], [0], SIZE) for _ in range(2)]
    losses = model.loss(dict(img=frames, ref_img=frames), samples)
    for name in ('loss_cls', 'loss_bbox', 'loss_mask', 'loss_segm'):
        torch.testing.assert_close(losses[name], losses[f'{name}_between'], rtol=1e-3, atol=1e-5)
    assert losses['loss_matching'].item() < 1e-5


def test_single_frames_are_refused() -> None:
    for kind in ('Flow', 'Joint'):
        with pytest.raises(InputError, match='reference_range'):
            stage(kind).loss(torch.zeros(1, 3, *SIZE), [])


def test_endpoint_errors_by_hand() -> None:
    """5 and 5, and the way from (1, 1) to (3, 4) is the root of 13."""
    sides = (4, 2, 1)
    flows = [torch.full((1, 2, n, n), float(n == 1)) for n in sides]
    targets = [torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, n, n) for n in sides]
    assert endpoint_error_loss(flows, targets).item() == pytest.approx(13.605551)
    none = [torch.zeros(1, n, n, dtype=torch.bool) for n in sides]
    assert endpoint_error_loss(flows, targets, none).item() == 0
    half = [mask.clone() for mask in none]
    half[0][0, 0] = True
    assert endpoint_error_loss(flows, targets, half).item() == pytest.approx(5)
    still = torch.zeros(1, 2, 2, 2, requires_grad=True)
    endpoint_error_loss([still], [torch.zeros(1, 2, 2, 2)]).backward()
    assert still.grad is not None and still.grad.isfinite().all()


def test_targets_of_a_flow_that_is_known_in_a_part() -> None:
    flow_px = torch.full((1, 2, 16, 16), 1e6)
    valid = torch.zeros(1, 16, 16, dtype=torch.bool)
    flow_px[..., :9], valid[..., :9] = 4.0, True
    (target,), (seen,) = flow_targets(flow_px, valid, [(4, 4)])
    assert seen[0, 0].tolist() == [True, True, False, False]
    torch.testing.assert_close(in_cells(target)[0, :, :, :2], torch.ones(2, 4, 2))


def test_matching_by_hand() -> None:
    a, b = (torch.tensor(v).view(1, 3, 1, 1) for v in ([1.0, 0, 2], [1.0, 1, 1]))
    assert cosine_loss(a, b).item() == pytest.approx(0.2254033, abs=1e-6)
    convolution = torch.nn.Conv2d(3, 3, 3, padding=1)
    torch.nn.init.dirac_(convolution.weight)
    torch.nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    level = a.clone().requires_grad_()
    loss = matching_loss([level], [b], [frozen_smoothing(convolution)])
    assert loss.item() == pytest.approx(0.2254033, abs=1e-6)
    loss.backward()
    assert level.grad is not None and level.grad.abs().sum() > 0
    assert convolution.weight.grad is None
    assert matching_loss([b], [b], [frozen_smoothing(convolution)]).item() < 1e-6


def test_known_shifts_are_learned() -> None:
    """Four pairs of smooth maps that move by up to two cells; the demo shows it for new ones."""
    torch.manual_seed(0)
    part = FeaturePropagation(channels=6, encoded_channels=8)
    optimizer = torch.optim.Adam(part.parameters(), lr=5e-3)

    def batch() -> tuple[Tensor, Tensor, Tensor]:
        rng = torch.Generator().manual_seed(1)
        coarse = torch.randn(4, 6, 9, 9, generator=rng)
        wide = torch.nn.functional.interpolate(coarse, (40, 40), mode='bicubic')
        shifts = torch.randint(-2, 3, (4, 2), generator=rng)
        rows = [
            wide[i, :, 8 - y : 32 - y, 8 - x : 32 - x] for i, (x, y) in enumerate(shifts.tolist())
        ]
        flow = shifts.float().view(4, 2, 1, 1).expand(4, 2, 24, 24)
        return wide[:, :, 8:32, 8:32], torch.stack(rows), flow

    def errors() -> tuple[Tensor, Tensor]:
        now, key, flow_px = batch()
        motions = part.motions(now, part.encoder(key), FINEST)
        flows = [motion.flow for motion in motions]
        sizes = [(flow.shape[2], flow.shape[3]) for flow in flows]
        valid = torch.ones(4, 24, 24, dtype=torch.bool)
        loss = endpoint_error_loss(flows, *flow_targets(flow_px, valid, sizes))
        # what was at p in the key frame is now at p - shift: read it at p + shift
        return loss, (in_cells(flows[0]) - flow_px).norm(dim=1).mean()

    before = errors()[1].item()
    for _ in range(90):
        optimizer.zero_grad()
        errors()[0].backward()
        optimizer.step()
    assert errors()[1].item() < 0.5 * before


@pytest.mark.parametrize('kind', ['Flow', 'Joint'])
def test_bfloat16(kind: str) -> None:
    """Losses as in float32, and a stream whose objects are those of float32."""
    samples = flow_samples((3.0, -2.0)) if kind == 'Flow' else [make_sample([BOX], [0], SIZE)] * 2
    model = stage(kind)
    with torch.no_grad():
        wanted = model.loss(pair(), samples)
        with torch.autocast('cpu', torch.bfloat16):
            found = model.loss(pair(), samples)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name].float(), value, rtol=0.1, atol=0.02)
