import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from mmext.functional import heatmaps
from mmext.functional.heatmaps import (
    find_peaks,
    gather_cells,
    gaussian_heatmaps,
    gaussian_radii,
    top_k,
)


def overlap_of_worst_corners(height: float, width: float, radius: float) -> float:
    """The smallest IoU of a box with itself after its corners moved by a radius."""
    area = height * width
    one_each = (height - radius) * (width - radius)  # shifted as a whole
    shifted = one_each / (2 * area - one_each)
    smaller = max(height - 2 * radius, 0) * max(width - 2 * radius, 0) / area
    larger = area / ((height + 2 * radius) * (width + 2 * radius))
    return min(shifted, smaller, larger)


def official_radius(height: float, width: float, overlap: float) -> int:
    """The published formula, written down plainly."""
    h, w = math.ceil(height), math.ceil(width)
    b1, c1 = h + w, w * h * (1 - overlap) / (1 + overlap)
    r1 = (b1 + math.sqrt(b1**2 - 4 * c1)) / 2
    b2, c2 = 2 * (h + w), (1 - overlap) * w * h
    r2 = (b2 + math.sqrt(b2**2 - 16 * c2)) / 2
    a3, b3, c3 = 4 * overlap, -2 * overlap * (h + w), (overlap - 1) * w * h
    r3 = (b3 + math.sqrt(b3**2 - 4 * a3 * c3)) / 2
    return max(0, int(min(r1, r2, r3)))


def drawn_by_loops(
    shape: tuple[int, int, int, int],
    images: Tensor,
    channels: Tensor,
    cells_xy: Tensor,
    radii: Tensor,
    divisor: float,
) -> Tensor:
    maps = torch.zeros(shape, dtype=torch.float64)
    height, width = shape[2:]
    for image, channel, (cx, cy), radius in zip(
        images.tolist(), channels.tolist(), cells_xy.tolist(), radii.tolist(), strict=True
    ):
        if not (0 <= cx < width and 0 <= cy < height):
            continue
        sigma = (2 * radius + 1) / divisor
        for y in range(max(0, cy - radius), min(height, cy + radius + 1)):
            for x in range(max(0, cx - radius), min(width, cx + radius + 1)):
                value = math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
                maps[image, channel, y, x] = max(maps[image, channel, y, x], value)
    return maps


def peaks_by_loops(scores: Tensor, k: int, kernel_size: int) -> list[list[float]]:
    """Values of the K best local maxima, sorted, of each image."""
    reach = kernel_size // 2
    found = []
    for image in scores:
        values = []
        for channel in image:
            height, width = channel.shape
            for y in range(height):
                for x in range(width):
                    window = channel[
                        max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1
                    ]
                    if (window <= channel[y, x]).all():
                        values.append(float(channel[y, x]))
        found.append(sorted(values, reverse=True)[:k])
    return found


class TestGaussianRadii:
    # 32x32 -> 8, 64x64 -> 17, 128x128 -> 34 with the published formula
    def test_published_sizes(self) -> None:
        sizes = torch.tensor([32.0, 64.0, 128.0])
        assert gaussian_radii(sizes, sizes).tolist() == [8, 17, 34]
        assert gaussian_radii(sizes, sizes, 0.3, 'exact').tolist() == [7, 14, 28]

    def test_official_is_the_published_formula(self) -> None:
        torch.manual_seed(0)
        heights, widths = 130 * torch.rand(2, 3000)
        radii = gaussian_radii(heights, widths)
        expected = [
            official_radius(h, w, 0.7)
            for h, w in zip(heights.tolist(), widths.tolist(), strict=True)
        ]
        assert radii.tolist() == expected

    @pytest.mark.parametrize('overlap', [0.3, 0.5, 0.7])
    def test_exact_keeps_the_overlap_and_one_more_does_not(self, overlap: float) -> None:
        torch.manual_seed(1)
        heights, widths = 1 + 130 * torch.rand(2, 500)
        radii = gaussian_radii(heights, widths, overlap, 'exact')
        for h, w, r in zip(heights.tolist(), widths.tolist(), radii.tolist(), strict=True):
            assert overlap_of_worst_corners(h, w, r) >= overlap - 1e-9
            assert overlap_of_worst_corners(h, w, r + 1) < overlap

    @pytest.mark.parametrize('mode', ['official', 'exact'])
    def test_boxes_without_area(self, mode: str) -> None:
        assert gaussian_radii(torch.zeros(3), torch.tensor([0.0, 1.0, 50.0]), 0.7, mode).min() == 0
        assert gaussian_radii(torch.zeros(0), torch.zeros(0), 0.7, mode).shape == (0,)

    def test_arguments(self) -> None:
        size = torch.ones(1)
        with pytest.raises(ValueError, match="mode: expected 'official' or 'exact', got 'right'"):
            gaussian_radii(size, size, mode='right')
        with pytest.raises(ValueError, match='min_overlap'):
            gaussian_radii(size, size, min_overlap=1.0)


class TestGaussianHeatmaps:
    def test_by_hand(self) -> None:
        one = torch.ones(1, dtype=torch.long)
        maps = gaussian_heatmaps((1, 1, 3, 4), 0 * one, 0 * one, torch.tensor([[1, 0]]), one)
        side = math.exp(-0.5 / 0.5**2)  # radius 1: sigma 3 / 6
        row = [side, 1, side, 0]
        expected = torch.tensor([row, [side * v for v in row], [0, 0, 0, 0]])
        assert torch.allclose(maps[0, 0], expected, atol=1e-7)

    @pytest.mark.parametrize('divisor', [5.0, 6.0])
    @pytest.mark.parametrize('seed', range(3))
    def test_equals_loops(self, seed: int, divisor: float) -> None:
        torch.manual_seed(seed)
        n, shape = 40, (3, 4, 17, 23)
        images, channels = torch.randint(0, 3, (n,)), torch.randint(0, 4, (n,))
        cells_xy = torch.stack([torch.randint(-3, 26, (n,)), torch.randint(-3, 20, (n,))], 1)
        radii = torch.randint(0, 12, (n,))
        arguments = (shape, images, channels, cells_xy, radii)
        before = [a.clone() for a in arguments[1:]]
        maps = gaussian_heatmaps(*arguments, divisor)
        expected = drawn_by_loops(*arguments, divisor)
        assert torch.allclose(maps.double(), expected, atol=2e-7)
        assert torch.equal(maps == 1, expected == 1)
        assert all(map(torch.equal, before, arguments[1:]))

    def test_what_a_gpu_draws_equals_loops(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch.manual_seed(0)
        shape, images, channels = (2, 3, 11, 9), torch.tensor([0, 1, 1]), torch.tensor([2, 0, 0])
        cells_xy, radii = torch.tensor([[8, 0], [3, 3], [9, 4]]), torch.tensor([4, 0, 5])
        monkeypatch.setattr(heatmaps, '_draw_windows', heatmaps._draw_whole_maps)
        maps = gaussian_heatmaps(shape, images, channels, cells_xy, radii)
        expected = drawn_by_loops(shape, images, channels, cells_xy, radii, 6)
        assert torch.allclose(maps.double(), expected, atol=2e-7)

    def test_no_objects(self) -> None:
        empty = torch.zeros(0, dtype=torch.long)
        maps = gaussian_heatmaps((2, 3, 4, 5), empty, empty, empty.view(0, 2), empty)
        assert maps.shape == (2, 3, 4, 5)
        assert not maps.any()


class TestFindPeaks:
    @pytest.mark.parametrize('kernel_size', [1, 3, 5])
    @pytest.mark.parametrize('channels', [1, 6])
    def test_equals_loops(self, channels: int, kernel_size: int) -> None:
        torch.manual_seed(channels)
        logits = torch.randn(2, channels, 9, 14)
        before = logits.clone()
        peaks = find_peaks(logits, 20, kernel_size)
        for values, expected in zip(
            peaks.values.tolist(), peaks_by_loops(logits, 20, kernel_size), strict=True
        ):
            found = [v for v in values if v != -math.inf]
            assert found == expected
        assert torch.equal(logits, before)

    def test_values_stand_at_the_returned_places(self) -> None:
        torch.manual_seed(0)
        logits = torch.randn(3, 5, 8, 11)
        peaks = find_peaks(logits, 30)
        images = torch.arange(3)[:, None].expand(-1, 30)
        real = peaks.values > -math.inf
        there = logits[images, peaks.channels, peaks.ys, peaks.xs]
        assert torch.equal(there[real], peaks.values[real])
        assert torch.equal(peaks.cells, peaks.ys * 11 + peaks.xs)

    def test_equals_pooling_the_sigmoid(self) -> None:
        torch.manual_seed(0)
        logits = 3 * torch.randn(2, 80, 32, 32)
        scores = logits.sigmoid()
        masked = scores * (max_pool2d(scores, 3, 1, 1) == scores)
        expected = masked.flatten(1).topk(100).values
        peaks = find_peaks(logits, 100)
        assert torch.equal(peaks.values.sigmoid(), expected)

    def test_classes_of_large_maps(self) -> None:
        """A class found by dividing in float32 is wrong from 262,144 cells on."""
        logits = torch.full((1, 20, 512, 520), -9.0)
        places = [(c, 511, 519) for c in range(20)]
        for c, y, x in places:
            logits[0, c, y, x] = c
        peaks = find_peaks(logits, 20)
        assert peaks.channels[0].tolist() == list(range(19, -1, -1))
        assert set(zip(peaks.ys[0].tolist(), peaks.xs[0].tolist(), strict=True)) == {(511, 519)}

    def test_fewer_peaks_than_wanted(self) -> None:
        logits = torch.arange(12.0).view(1, 1, 3, 4)
        assert find_peaks(logits, 3).values.tolist() == [[11.0, -math.inf, -math.inf]]
        assert find_peaks(logits, 50).values.shape == (1, 12)

    def test_a_plateau_is_all_peaks(self) -> None:
        assert find_peaks(torch.zeros(1, 2, 3, 3), 18).values.tolist() == [[0.0] * 18]

    def test_nan_is_no_peak(self) -> None:
        logits = torch.zeros(1, 1, 5, 5)
        logits[0, 0, 2, 2], logits[0, 0, 0, 4] = math.nan, 3.0
        assert find_peaks(logits, 1).values.tolist() == [[3.0]]
        assert not find_peaks(logits, 25).values.isnan().any()

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
    def test_keeps_the_dtype(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        logits = torch.randn(1, 3, 8, 8).to(dtype)
        peaks = find_peaks(logits, 5)
        assert peaks.values.dtype == dtype
        assert peaks.values[0].tolist() == peaks_by_loops(logits, 5, 3)[0]

    def test_no_images(self) -> None:
        assert find_peaks(torch.zeros(0, 3, 8, 8), 5).values.shape == (0, 5)

    def test_arguments(self) -> None:
        with pytest.raises(ValueError, match=r'logits: expected float \[B, C, H, W\]'):
            find_peaks(torch.zeros(3, 8, 8), 5)
        with pytest.raises(ValueError, match='kernel_size: expected an odd number of cells, got 2'):
            find_peaks(torch.zeros(1, 3, 8, 8), 5, 2)
        with pytest.raises(ValueError, match='k: expected at least 1, got 0'):
            find_peaks(torch.zeros(1, 3, 8, 8), 0)


class TestTopK:
    @pytest.mark.parametrize('shape', [(2, 7, 11), (1, 3, 5, 4), (3, 40, 9)])
    @pytest.mark.parametrize('k', [1, 6, 500])
    def test_equals_a_full_sort(self, shape: tuple[int, ...], k: int) -> None:
        torch.manual_seed(0)
        values = torch.randn(shape)
        top, index = top_k(values, k)
        expected = values.flatten(1).sort(descending=True)
        assert torch.equal(top, expected.values[:, :k])
        assert torch.equal(index, expected.indices[:, :k])

    def test_with_ties(self) -> None:
        torch.manual_seed(0)
        values = torch.randint(0, 4, (2, 50, 8)).float()
        top, index = top_k(values, 30)
        assert torch.equal(top, values.flatten(1).sort(descending=True).values[:, :30])
        assert torch.equal(values.flatten(1).gather(1, index), top)
        assert all(len(set(row)) == 30 for row in index.tolist())


def test_gather_cells() -> None:
    features = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5)
    cells = torch.tensor([[0, 7], [19, 7]])
    gathered = gather_cells(features, cells)
    assert gathered[0].tolist() == features[0][:, [0, 1], [0, 2]].T.tolist()
    assert gathered[1].tolist() == features[1][:, [3, 1], [4, 2]].T.tolist()
    assert gather_cells(features, cells[:, :0]).shape == (2, 0, 3)
