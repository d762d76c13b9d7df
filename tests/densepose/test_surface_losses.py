"""The losses of parts, coordinates, masks and confidences: released values, plain loops, edges."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmext.densepose.point_sampling import (
    grid_places,
    plain_samples,
    sample_all_channels,
    sample_channel,
)
from mmext.densepose.surface_losses import (
    NO_MASK,
    anisotropic_loss,
    coordinate_loss,
    isotropic_loss,
    mask_loss,
    mask_targets,
    part_loss,
)


def test_the_released_values() -> None:
    line = torch.linspace(-1, 1, 192).view(1, 3, 8, 8)
    u_maps, v_maps, logits = (line + 1) / 2, line.flip(1) * 0.5 + 0.5, 2 * line
    parts = torch.tensor([1, 2, 0, 2])
    relative = torch.tensor([[32.0, 64], [128, 128], [200, 20], [250, 250]])
    points = torch.tensor([10.0, 20]) + relative * torch.tensor([40.0, 80]) / 256
    region = torch.tensor([[12.0, 18, 48, 102]]).expand(4, 4)
    places = grid_places(points, region, 8)
    assert places.inside.tolist() == [True, True, True, False]
    places = type(places)(*(values[:3] for values in places))
    samples, parts = plain_samples(places, torch.zeros(3, dtype=torch.long), 8), parts[:3]
    u, v = (sample_channel(maps, samples, parts) for maps in (u_maps, v_maps))
    expected = torch.tensor([[0.426328, 0.858639, 0.066941], [0.426328, 0.188482, 0.737098]])
    torch.testing.assert_close(torch.stack([u, v]), expected, atol=1e-6, rtol=0)
    loss_u = 0.01 * coordinate_loss(u[:2], torch.tensor([0.2, 0.5]))
    loss_v = 0.01 * coordinate_loss(v[:2], torch.tensor([0.1, 0.7]))
    assert loss_u.item() == pytest.approx(0.000899230, rel=1e-4)
    assert loss_v.item() == pytest.approx(0.00184070, rel=1e-4)
    assert part_loss(sample_all_channels(logits, samples), parts).item() == pytest.approx(
        1.6257062, rel=1e-6
    )


def test_confidences_have_the_released_values() -> None:
    errors = torch.tensor([[0.3 - 0.25, 0.2 - 0.4], [0.6 - 0.7, 0.9 - 0.8]])
    raw = torch.tensor([-1.0, 0.5])
    kappa = torch.tensor([[0.1, 0.05], [-0.2, 0.3]])
    assert isotropic_loss(errors, raw).item() == pytest.approx(0.7684308, rel=1e-5)
    assert anisotropic_loss(errors, raw, kappa).item() == pytest.approx(0.8481839, rel=1e-5)


def test_confidences_are_densities_of_gaussians() -> None:
    errors, raw = torch.randn(5, 2) / 4, torch.randn(5)
    kappa = torch.randn(5, 2) / 3
    sigma2 = F.softplus(raw) + 0.01
    for direction in (torch.zeros(5, 2), kappa):
        covariance = (
            sigma2[:, None, None] * torch.eye(2) + direction[:, :, None] * direction[:, None]
        )
        gaussian = torch.distributions.MultivariateNormal(torch.zeros(5, 2), covariance)
        expected = -gaussian.log_prob(errors).sum()
        # the released constant is half of log 2 pi, not all of it
        expected = expected - 5 * math.log(2 * math.pi) / 2
        found = anisotropic_loss(errors, raw, direction)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        isotropic_loss(errors, raw), anisotropic_loss(errors, raw, torch.zeros(5, 2))
    )


def test_masks_are_resampled_as_released() -> None:
    # the released values are of a map of 4 x 4: here each of its cells is 64 x 64
    canvas = torch.arange(16, dtype=torch.uint8).view(4, 4)
    canvas = canvas.repeat_interleave(64, 0).repeat_interleave(64, 1)[None]
    frame = torch.tensor([[[0.0, 0], [8, 0], [0, 8]]])
    regions = torch.tensor([[0.0, 0, 8, 8], [2, -2, 10, 6]])
    found = mask_targets(canvas, frame, regions, torch.zeros(2, dtype=torch.long), 4)
    for region, cells in zip(regions.tolist(), found.numpy(), strict=True):
        for row in range(4):
            for column in range(4):
                x, y = (
                    (region[axis] + step * 2) / 8 * 255 for axis, step in ((0, column), (1, row))
                )
                inside = 0 <= x <= 255 and 0 <= y <= 255
                value = canvas[0, round(y), round(x)] if inside else 0
                assert cells[row, column] == value
    assert found[1, 0].tolist() == [0, 0, 0, 0]


def test_masks_equal_grid_sampling() -> None:
    generator = np.random.default_rng(0)
    canvases = torch.from_numpy(generator.integers(0, 15, (2, 256, 256)).astype(np.uint8))
    boxes = torch.tensor([[10.3, 20.7, 71.9, 93.3], [0.0, 5.5, 40.2, 33.1]])
    regions = torch.tensor([[12.1, 18.2, 70.4, 90.9], [3.3, 0.0, 45.5, 30.7]])
    frames = torch.stack([boxes[:, :2], boxes[:, [2, 1]], boxes[:, [0, 3]]], dim=1)
    found = mask_targets(canvases, frames, regions, torch.arange(2), 112)
    steps = torch.arange(112) / 112
    grids = []
    for box, region in zip(boxes, regions, strict=True):
        x, y = (
            2 * (region[a] + steps * (region[a + 2] - region[a]) - box[a]) / (box[a + 2] - box[a])
            - 1
            for a in (0, 1)
        )
        grids.append(torch.stack(torch.meshgrid(x, y, indexing='xy'), dim=-1))
    expected = F.grid_sample(
        canvases[:, None].float(), torch.stack(grids), mode='nearest', align_corners=True
    )[:, 0]
    # grid_sample reads up to half a cell outside, and a place between two cells is a toss-up
    assert (found == expected).float().mean() > 0.99
    # turned by 180 degrees: the frame moves, what is seen turns with it
    turned = mask_targets(canvases, -frames, -regions[:, [2, 3, 0, 1]], torch.arange(2), 112)
    assert (turned.flip(1, 2)[:, :-1, :-1] == found[:, 1:, 1:]).float().mean() > 0.99


def test_unknown_masks_do_not_count() -> None:
    logits = torch.randn(3, 15, 4, 4, requires_grad=True)
    targets = torch.randint(15, (3, 4, 4)).to(torch.uint8)
    targets[1] = NO_MASK
    expected = F.cross_entropy(logits[[0, 2]], targets[[0, 2]].long())
    torch.testing.assert_close(mask_loss(logits, targets), expected)
    two = logits[:, :2]
    expected = F.cross_entropy(two[[0, 2]], (targets[[0, 2]] > 0).long())
    torch.testing.assert_close(mask_loss(two, targets), expected)
    targets[:] = NO_MASK
    loss = mask_loss(logits, targets)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_sums_and_means() -> None:
    found, target = torch.rand(7), torch.rand(7)
    total = coordinate_loss(found, target)
    torch.testing.assert_close(coordinate_loss(found, target, True), total / 7)
    assert coordinate_loss(found[:0], target[:0], True).item() == 0
    assert part_loss(torch.zeros(0, 25), torch.zeros(0, dtype=torch.long)).item() == 0
