"""Goldens are of the released functions; decoding is compared with torch's resize of whole maps."""

import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.functional.roi_keypoints import (
    cell_cross_entropy,
    decode_roi_keypoints,
    keypoint_cells,
    resize_matrix,
)


def test_cells_are_those_released() -> None:
    points = torch.tensor([[[10, 20], [50, 80], [49.99, 79.99], [9.9, 30], [30.5, 40.5]]])
    visible = torch.tensor([[2, 2, 1, 2, 0]])
    cells, counts = keypoint_cells(points, visible, torch.tensor([[10.0, 20, 50, 80]]))
    assert counts.tolist() == [[True, True, True, False, False]]
    assert cells[0, :3].tolist() == [0, 3135, 3135]


def test_cells_of_empty_regions_and_nowhere() -> None:
    points = torch.tensor([[[5.0, 5.0], [torch.nan, 5.0], [6.0, 5.0]]])
    cells, counts = keypoint_cells(points, torch.ones(1, 3), torch.tensor([[5.0, 5, 5, 5]]))
    assert counts.tolist() == [[True, False, False]]
    assert cells.min() >= 0
    empty, counts = keypoint_cells(torch.zeros(0, 3, 2), torch.zeros(0, 3), torch.zeros(0, 4))
    assert empty.shape == counts.shape == (0, 3)


def test_points_are_those_released() -> None:
    maps = torch.full((1, 2, 4, 4), -2.0)
    maps[0, 0, 1, 2], maps[0, 0, 1, 1], maps[0, 1, 3, 0] = 3, 1, 1
    points, logits, scores = decode_roi_keypoints(maps, torch.tensor([[10, 20, 17.5, 31.2]]))
    assert points[0].flatten().tolist() == pytest.approx(
        [14.21875, 24.2, 10.46875, 30.73333], abs=1e-4
    )
    assert logits[0].tolist() == pytest.approx([3.17969, 1.68490], abs=1e-5)
    assert scores[0].tolist() == pytest.approx([0.97331, 1.13554], abs=1e-5)


def whole(maps: Tensor, roi: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels of the resized map and the largest value, as released: one region."""
    width, height = (roi[2:] - roi[:2]).clamp(min=1).ceil().long().tolist()
    resized = F.interpolate(maps[None], (height, width), mode='bicubic', align_corners=False)[0]
    return resized, resized.flatten(1).amax(1)


def check(maps: Tensor, rois: Tensor) -> None:
    points, logits, _ = decode_roi_keypoints(maps, rois)
    for roi, roi_maps, places, values in zip(rois, maps, points, logits, strict=True):
        resized, largest = whole(roi_maps, roi)
        assert (values - largest).abs().max() < 1e-4
        sides = (roi[2:] - roi[:2]).clamp(min=1)
        pixels = ((places - roi[:2]) * (sides.ceil() / sides) - 0.5).round().long()
        # where two pixels are equal but for rounding, either is right
        found = resized[torch.arange(len(pixels)), pixels[:, 1], pixels[:, 0]]
        assert (found - largest).abs().max() < 1e-4


def test_ten_thousand_random_maps() -> None:
    generator = torch.Generator().manual_seed(0)
    for side, kind in ((14, 'noise'), (14, 'peaks'), (56, 'peaks'), (56, 'smooth')):
        regions, points = (240, 17) if side == 14 else (60, 17)
        maps = torch.randn(regions, points, side, side, generator=generator)
        if kind == 'smooth':
            maps = F.avg_pool2d(maps, 9, 1, 4)
        if kind == 'peaks':
            index = torch.randint(side * side, (regions, points, 2), generator=generator)
            maps = (0.3 * maps).flatten(2).scatter_add_(2, index, 3 + index.float() / side**2)
            maps = maps.view(regions, points, side, side)
        corners = 50 * torch.rand(regions, 2, generator=generator) - 20
        sides = 90 * torch.rand(regions, 2, generator=generator) ** 2
        check(maps, torch.cat([corners, corners + sides], 1))


def test_flat_maps_empty_input_and_low_precision() -> None:
    rois = torch.tensor([[0.0, 0, 30, 40], [5, 5, 5.2, 5.1]])
    points, logits, scores = decode_roi_keypoints(torch.zeros(2, 3, 8, 8), rois)
    assert logits.abs().max() < 1e-6
    assert scores.flatten().tolist() == pytest.approx([1 / 64] * 6)
    assert ((points[1] >= 5) & (points[1] <= 6)).all()
    for output in decode_roi_keypoints(torch.zeros(0, 3, 8, 8), rois[:0]):
        assert output.shape[:2] == (0, 3)
    maps = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).bfloat16()
    low, plain = (decode_roi_keypoints(m, rois)[0] for m in (maps, maps.float()))
    assert torch.equal(low, plain)


@pytest.mark.parametrize(('cells', 'pixels'), [(4, 8), (8, 3), (56, 200), (5, 1), (3, 3)])
def test_a_matrix_resizes_as_torch_does(cells: int, pixels: int) -> None:
    line = torch.randn(1, 1, 1, cells, generator=torch.Generator().manual_seed(2))
    expected = F.interpolate(line, (1, pixels), mode='bicubic', align_corners=False)[0, 0, 0]
    matrix = resize_matrix(cells, pixels, line)
    torch.testing.assert_close(matrix @ line[0, 0, 0], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(matrix.sum(1), torch.ones(pixels))


def test_losses_of_cells() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    cells = torch.tensor([[0, 5, 15], [3, 3, 3]])
    counts = torch.tensor([[True, False, True], [False, False, True]])
    loss = cell_cross_entropy(logits, cells, counts)
    expected = sum(
        F.cross_entropy(logits[r, k].flatten()[None], cells[r, k][None])
        for r, k in ((0, 0), (0, 2), (1, 2))
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient.flatten(2).abs().sum(2) > 0).equal(counts)
    nothing = cell_cross_entropy(logits, cells, torch.zeros_like(counts))
    assert nothing.item() == 0
    assert torch.autograd.grad(nothing, logits)[0].abs().sum() == 0
    assert cell_cross_entropy(logits[:0], cells[:0], counts[:0]).item() == 0


def test_boxes_with_a_gradient() -> None:
    """As explanations of boxes have them: no warning, and the points follow the boxes."""
    maps = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    rois = torch.tensor([[0.0, 0, 20.5, 30], [5, 5, 9, 40]])
    expected = decode_roi_keypoints(maps, rois)[0]
    rois.requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        points = decode_roi_keypoints(maps, rois)[0]
    assert torch.equal(points, expected)
    points.sum().backward()
    # a point is its share of the box: both shares of a corner add up to 1
    assert rois.grad is not None
    assert torch.allclose(rois.grad[:, :2] + rois.grad[:, 2:], torch.full((2, 2), 3.0))
