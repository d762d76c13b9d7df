"""Crops: points lie where the pixels of the crop lie."""

import math

import pytest
import torch
from mmcv.ops import roi_align_rotated

from mmext.functional.crops import (
    crop_matrices,
    crops_around,
    from_crops,
    jittered,
    to_crops,
    upright,
)


def random_crops(count: int = 6, aspect: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.rand(count, 4, generator=generator)
    centers, sides = 30 + 40 * numbers[:, :2], 30 + 30 * numbers[:, 2:3]
    angles = (numbers[:, 3:] - 0.5) * 2 * math.pi
    return torch.cat((torch.zeros(count, 1), centers, sides, sides / aspect, angles), dim=1)


@pytest.mark.parametrize('aspect', [1.0, 0.75])
def test_points_follow_the_pixels(aspect: float) -> None:
    """A ramp along x and one along y, seen in a crop, are the coordinates of its pixels."""
    crops, size = random_crops(aspect=aspect), 16
    ramps = torch.meshgrid(torch.arange(200) + 0.5, torch.arange(200) + 0.5, indexing='xy')
    image = torch.stack(ramps)[None]
    crops[:, 1:3] += 50  # so that all of it is inside
    seen = roi_align_rotated(image, crops, (size, size), 1.0, 0, True, False)  # [M, 2, s, s]
    steps = (torch.arange(size) + 0.5) / size - 0.5
    grid = torch.stack(torch.meshgrid(steps, steps, indexing='xy'), dim=-1).flatten(0, 1)
    points = from_crops(grid.expand(len(crops), -1, 2), crops)
    torch.testing.assert_close(seen.flatten(2).mT, points, rtol=0, atol=0.02)
    matrices = crop_matrices(crops, (24, 32))
    pixels = (points @ matrices[:, :2, :2].mT) + matrices[:, None, :2, 2]
    torch.testing.assert_close(pixels / torch.tensor([24, 32]) - 0.5, grid.expand_as(pixels))


@pytest.mark.parametrize('dimensions', [2, 3])
def test_round_trip(dimensions: int) -> None:
    generator = torch.Generator().manual_seed(0)
    crops, points = random_crops(), 100 * torch.rand(6, 5, dimensions, generator=generator)
    there = to_crops(points, crops)
    torch.testing.assert_close(from_crops(there, crops), points, rtol=0, atol=1e-4)  # px
    if dimensions == 3:
        torch.testing.assert_close(there[..., 2], points[..., 2] / crops[:, 3:4])


def test_crops_hold_their_boxes() -> None:
    boxes = torch.tensor([[10.0, 20, 30, 60], [5, 5, 5, 5]])
    crops = crops_around(boxes, torch.tensor([1, 0]), margin=1.5)
    assert crops.tolist() == [[1, 20, 40, 60, 60, 0], [0, 5, 5, 1.5, 1.5, 0]]
    crops = crops_around(boxes, torch.tensor([1, 0]), margin=1.5, aspect=0.75)
    assert crops.tolist() == [[1, 20, 40, 45, 60, 0], [0, 5, 5, 1.5, 2, 0]]
    assert crops_around(boxes, torch.tensor([1, 0]), 1.0, 2.0)[0].tolist() == [1, 20, 40, 80, 40, 0]
    assert crops_around(boxes[:0], torch.zeros(0, dtype=torch.long), 1.5).shape == (0, 6)


def test_upright_eyes_are_level() -> None:
    crops = random_crops()
    left, right = 100 * torch.rand(6, 2), 100 * torch.rand(6, 2)
    turned = upright(crops, left, right)
    eyes = to_crops(torch.stack((left, right), dim=1), turned)
    torch.testing.assert_close(eyes[:, 0, 1], eyes[:, 1, 1])
    assert (eyes[:, 1, 0] > eyes[:, 0, 0]).all()
    assert torch.equal(turned[:, :5], crops[:, :5])


def test_jitter_has_the_deviations_asked_for() -> None:
    torch.manual_seed(0)
    crops = random_crops(1).expand(4000, 6)
    moved = jittered(crops, shift=0.1, scale=0.2, rotation=0.3)
    assert torch.equal(jittered(crops, 0.0, 0.0, 0.0), crops)
    shifts = (moved[:, 1:3] - crops[:, 1:3]) / crops[:, 3:5]
    assert shifts.std(dim=0).tolist() == pytest.approx([0.1, 0.1], rel=0.05)
    assert (moved[:, 3] / crops[:, 3]).log().std().item() == pytest.approx(0.2, rel=0.05)
    assert (moved[:, 5] - crops[:, 5]).std().item() == pytest.approx(0.3, rel=0.05)
    assert torch.equal(moved[:, 3], moved[:, 4])
