"""Against the released rules, loops with OpenCV's blur, and bounds of round trips."""

import cv2
import numpy as np
import pytest
import torch

from mmext.functional.landmark_decoding import decode_heatmaps
from mmext.functional.landmark_heatmaps import (
    STAMPS,
    cells_to_points,
    landmark_heatmaps,
    points_to_cells,
)


def three_maps() -> torch.Tensor:
    maps = torch.zeros(3, 64, 64)
    maps[0, 20, 10], maps[0, 20, 11], maps[0, 19, 10] = 1, 0.5, 0.4
    maps[1, 0, 5], maps[1, 0, 6] = 1, 0.5
    maps[2, 30, 40] = 1
    return maps


@pytest.mark.parametrize(
    ('rule', 'expected'),
    [
        ('interior', [[10.75, 20.25], [5.5, 0.5], [40.5, 30.5]]),
        ('princeton', [[10.75, 20.25], [5.75, 0.25], [40.25, 30.25]]),
    ],
)
def test_quarter_cells_are_those_of_the_released_codes(rule: str, expected: list) -> None:
    cells, heights = decode_heatmaps(three_maps(), 'quarter', rule)
    assert (cells + 0.5).tolist() == expected
    assert heights.tolist() == [1, 1, 1]
    if rule == 'interior':  # FAN: center (300, 200), 300 px to 64 cells, cut to whole pixels
        image = torch.tensor([300.0, 200.0]) + ((cells + 0.5) / 64 - 0.5) * 300
        assert image.floor().tolist() == [[200, 144], [175, 52], [339, 192]]
        # pytorch-pose's pixels count from 1
        assert (image.floor() + 1).tolist() == [[201, 145], [176, 53], [340, 193]]


def test_mmpose_leaves_the_second_column() -> None:
    maps = torch.zeros(2, 9, 9)
    maps[0, 4, 1], maps[0, 4, 2] = 1, 0.5
    maps[1, 4, 2], maps[1, 4, 3] = 1, 0.5
    assert decode_heatmaps(maps, 'quarter', 'mmpose')[0].tolist() == [[1, 4], [2.25, 4]]
    assert decode_heatmaps(maps, 'quarter', 'interior')[0].tolist() == [[1.25, 4], [2.25, 4]]


def noisy_maps(seed: int, count: int = 24) -> np.ndarray:
    """Gaussians anywhere, also beyond the border, with noise."""
    rng = np.random.default_rng(seed)
    cells = torch.from_numpy(rng.uniform(-2, 34, (1, count, 2)).astype(np.float32))
    maps, _ = landmark_heatmaps(cells, torch.ones(1, count), (30, 34), STAMPS['dark'])
    noise = rng.normal(0, 0.01, maps.shape).astype(np.float32)
    return (maps.numpy() * rng.uniform(0.2, 1, (1, count, 1, 1)) + noise)[0].astype(np.float32)


def blurred(heatmap: np.ndarray, size: int) -> np.ndarray:
    """As the released codes blur: zeros around, then scaled to the old maximum."""
    border = size // 2
    padded = cv2.copyMakeBorder(heatmap, *[border] * 4, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.GaussianBlur(padded, (size, size), 0)[border:-border, border:-border]
    return inner * heatmap.max() / inner.max()


def released_dark(heatmap: np.ndarray, size: int) -> list[float]:
    height, width = heatmap.shape
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    if not (1 < x < width - 2 and 1 < y < height - 2):
        return [x, y]
    log = np.log(np.maximum(blurred(heatmap, size), 1e-10)).astype(np.float64)
    gradient = [log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]
    dxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
    dyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
    corners = log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]
    hessian = np.array([[dxx, corners / 4], [corners / 4, dyy]])
    return ([x, y] - np.linalg.inv(hessian) @ (np.array(gradient) / 2)).tolist()


def released_udp(heatmap: np.ndarray, size: int) -> list[float]:
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    log = np.log(np.clip(blurred(heatmap, size), 1e-3, 50)).astype(np.float64)
    log = np.pad(log, 1, mode='edge')[y : y + 3, x : x + 3]
    gradient = np.array([log[1, 2] - log[1, 0], log[2, 1] - log[0, 1]]) / 2
    dxx, dyy = log[1, 2] - 2 * log[1, 1] + log[1, 0], log[2, 1] - 2 * log[1, 1] + log[0, 1]
    around = log[2, 2] - log[1, 2] - log[2, 1] + 2 * log[1, 1] - log[1, 0] - log[0, 1] + log[0, 0]
    hessian = np.array([[dxx, around / 2], [around / 2, dyy]])
    eps = np.finfo(np.float32).eps
    return ([x, y] - np.linalg.inv(hessian + eps * np.eye(2)) @ gradient).tolist()


@pytest.mark.parametrize('size', [11, 17])
@pytest.mark.parametrize(
    ('method', 'loop'), [('taylor', released_dark), ('taylor_udp', released_udp)]
)
def test_taylor_equals_the_loop(method: str, loop, size: int) -> None:
    maps = noisy_maps(size)
    before = maps.copy()
    cells, heights = decode_heatmaps(torch.from_numpy(maps), method, kernel_size=size)
    wanted = np.array([loop(heatmap, size) for heatmap in maps])
    # an almost singular Hessian magnifies the last bits of float32: these are far steps
    steps = np.abs(wanted - decode_heatmaps(torch.from_numpy(maps), 'argmax')[0].numpy()).max(1)
    calm = steps < 2
    assert calm.sum() > 12
    np.testing.assert_allclose(cells.numpy()[calm], wanted[calm], atol=2e-3)
    np.testing.assert_array_equal(heights, maps.max((1, 2)))
    np.testing.assert_array_equal(maps, before)


@pytest.mark.parametrize(
    ('stamp', 'method', 'bound'),
    # cells: half a cell of rounding and the wrong quarter; the Taylor step of a Gaussian is exact
    [('msra', 'quarter', 0.75), ('newell', 'quarter', 0.75), ('fan', 'argmax', 0.5),
     ('dark', 'quarter', 0.25), ('dark', 'taylor', 0.01), ('udp', 'taylor_udp', 0.1)],
)  # fmt: skip
def test_points_come_back(stamp: str, method: str, bound: float) -> None:
    generator = torch.Generator().manual_seed(0)
    points = 24 + 80 * torch.rand(50, 4, 2, generator=generator)
    cells = points_to_cells(points, (128, 128), (32, 32))
    maps, _ = landmark_heatmaps(cells, torch.ones(50, 4), (32, 32), STAMPS[stamp])
    found = cells_to_points(decode_heatmaps(maps, method)[0], (128, 128), (32, 32))
    assert (found - points).abs().max() <= 4 * bound + 1e-3


@pytest.mark.parametrize('method', ['argmax', 'quarter', 'taylor', 'taylor_udp'])
def test_shapes_flat_maps_and_low_precision(method: str) -> None:
    cells, heights = decode_heatmaps(torch.zeros(2, 3, 8, 9), method)
    assert cells.shape == (2, 3, 2)
    assert heights.shape == (2, 3)
    assert cells.isfinite().all()
    assert decode_heatmaps(torch.zeros(0, 3, 8, 9), method)[0].shape == (0, 3, 2)
    maps = torch.from_numpy(noisy_maps(1, 4))
    low = decode_heatmaps(maps.bfloat16(), method)[0]
    torch.testing.assert_close(low, decode_heatmaps(maps.bfloat16().float(), method)[0])
    alone = decode_heatmaps(maps[0], method)[0]
    torch.testing.assert_close(alone, decode_heatmaps(maps, method)[0][0], atol=1e-4, rtol=0)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match='method'):
        decode_heatmaps(torch.zeros(1, 8, 8), 'dark')
    with pytest.raises(ValueError, match='kernel_size'):
        decode_heatmaps(torch.zeros(1, 8, 8), 'taylor', kernel_size=7)
