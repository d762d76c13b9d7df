"""Warping against one bilinear sample at a time."""

import math

import numpy as np
import pytest
import torch

from mmext.functional.flow_warping import resize_flow, warp

torch.set_num_threads(1)


def oracle(features, flow):
    """Read pixel by pixel at p + flow(p); 0 outside."""
    count, _, height, width = features.shape
    warped = torch.zeros_like(features)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                at_x, at_y = x + flow[n, 0, y, x].item(), y + flow[n, 1, y, x].item()
                left, top = math.floor(at_x), math.floor(at_y)
                for row, column in (
                    (top, left),
                    (top, left + 1),
                    (top + 1, left),
                    (top + 1, left + 1),
                ):
                    if 0 <= row < height and 0 <= column < width:
                        weight = (1 - abs(at_x - column)) * (1 - abs(at_y - row))
                        warped[n, :, y, x] += weight * features[n, :, row, column]
    return warped


@pytest.mark.parametrize('shape', [(2, 3, 7, 5), (1, 2, 1, 6), (1, 1, 4, 1), (1, 1, 1, 1)])
def test_equals_the_oracle(shape):
    rng = np.random.default_rng(0)
    for scale in (0.3, 2.0, 20.0):
        features = torch.tensor(rng.normal(size=shape))
        flow = torch.tensor(rng.normal(0, scale, (shape[0], 2, *shape[2:])))
        if 1 in shape[2:]:
            flow[:, 0 if shape[3] == 1 else 1] = 0  # a single cell has no scale along its axis
            flow[:, 1 if shape[2] == 1 else 0] *= min(shape[2:]) != max(shape[2:])
        torch.testing.assert_close(warp(features, flow), oracle(features, flow))


def test_no_flow_is_the_identity():
    features = torch.randn(2, 4, 13, 17, generator=torch.Generator().manual_seed(0))
    flow = torch.zeros(2, 2, 13, 17)
    torch.testing.assert_close(warp(features, flow), features, atol=1e-5, rtol=0)


def test_whole_cells_move_content_against_the_flow():
    features = torch.arange(20.0).view(1, 1, 4, 5)
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0] = 2
    flow[:, 1] = -1
    expected = torch.zeros(4, 5)
    expected[1:, :3] = features[0, 0, :3, 2:]  # row y reads row y - 1, column x reads x + 2
    torch.testing.assert_close(warp(features, flow)[0, 0], expected, atol=1e-5, rtol=0)


def test_released_sampling_shifts_by_up_to_half_a_cell():
    """Coordinates of one rule, read by the other: x becomes x n / (n - 1) - 1/2."""
    ramp = torch.arange(9.0).expand(1, 1, 9, 9).contiguous()
    warped = warp(ramp, torch.zeros(1, 2, 9, 9), align_corners=False)
    expected = (torch.arange(9.0) * 9 / 8 - 0.5)[1:8]
    torch.testing.assert_close(warped[0, 0, 4, 1:8], expected)
    assert abs(warped[0, 0, 4, 1] - 1) > 0.35


def test_gradient():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, 2, 4, 5, dtype=torch.float64, generator=generator)
    flow = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator) * 0.4 + 0.1
    assert torch.autograd.gradcheck(warp, (features.requires_grad_(), flow.requires_grad_()))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_coordinates_are_never_rounded(dtype):
    """A wide map: bfloat16 counts 256, 258, 260 …"""
    features = torch.randn(1, 1, 2, 512, generator=torch.Generator().manual_seed(2)).to(dtype)
    flow = torch.ones(1, 2, 2, 512, dtype=dtype) * torch.tensor([1.0, 0.0], dtype=dtype).view(
        2, 1, 1
    )
    with torch.autocast('cpu', dtype=dtype):
        warped = warp(features, flow)
    assert warped.dtype == dtype
    torch.testing.assert_close(warped[..., :-1], features[..., 1:], atol=0.03, rtol=0)


def test_resized_flow_is_in_cells_of_the_new_grid():
    flow = torch.tensor([8.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 16, 32)
    small = resize_flow(flow, (4, 4))
    assert small.shape == (1, 2, 4, 4)
    assert (small[:, 0] == 1).all() and (small[:, 1] == 1).all()
    assert resize_flow(flow, (16, 32)) is flow


def test_a_flow_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r'flow: expected shape \(1, 2, 4, 5\)'):
        warp(torch.zeros(1, 3, 4, 5), torch.zeros(1, 2, 5, 4))
