import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from mmext.functional.heatmaps import find_peaks, gather_cells, top_k


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
