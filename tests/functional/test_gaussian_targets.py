import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmext.functional import gaussian_targets
from mmext.functional.gaussian_targets import RadiusMode, gaussian_heatmaps, gaussian_radii


def overlap_of_worst_corners(height: float, width: float, radius: float) -> float:
    """The smallest IoU of a box with itself after its corners moved by a radius."""
    area = height * width
    one_each = (height - radius) * (width - radius)  # shifted as a whole
    shifted = one_each / (2 * area - one_each)
    smaller = max(height - 2 * radius, 0) * max(width - 2 * radius, 0) / area
    larger = area / ((height + 2 * radius) * (width + 2 * radius))
    return min(shifted, smaller, larger)


def official_radius(height: float, width: float, overlap: float) -> int:
    """The published formula, written down plainly; Python rounds every step as IEEE 754 says."""
    h, w = math.ceil(height), math.ceil(width)
    b1, c1 = h + w, w * h * (1 - overlap) / (1 + overlap)
    r1 = (b1 + math.sqrt(b1**2 - 4 * c1)) / 2
    b2, c2 = 2 * (h + w), (1 - overlap) * w * h
    r2 = (b2 + math.sqrt(b2**2 - 16 * c2)) / 2
    a3, b3, c3 = 4 * overlap, -2 * overlap * (h + w), (overlap - 1) * w * h
    r3 = (b3 + math.sqrt(b3**2 - 4 * a3 * c3)) / 2
    return max(0, int(min(r1, r2, r3)))


def exact_radius(h: float, w: float, overlap: float) -> int:
    """The same equations, solved: CornerNet's code since its correction, and mmdet's."""
    b1, c1 = h + w, w * h * (1 - overlap) / (1 + overlap)
    r1 = (b1 - math.sqrt(b1**2 - 4 * c1)) / 2
    b2, c2 = 2 * (h + w), (1 - overlap) * w * h
    r2 = (b2 - math.sqrt(b2**2 - 16 * c2)) / 8
    a3, b3, c3 = 4 * overlap, -2 * overlap * (h + w), (overlap - 1) * w * h
    r3 = (b3 + math.sqrt(b3**2 - 4 * a3 * c3)) / (2 * a3)
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


class TestGaussianRadii:
    # 32x32 -> 8, 64x64 -> 17, 128x128 -> 34 with the published formula
    def test_published_sizes(self) -> None:
        sizes = torch.tensor([32.0, 64.0, 128.0])
        assert gaussian_radii(sizes, sizes).tolist() == [8, 17, 34]
        assert gaussian_radii(sizes, sizes, 0.3, 'exact').tolist() == [7, 14, 28]

    # of both CenterNets, of CornerNet as first released, and of mmdet
    @pytest.mark.parametrize(
        'mode, overlap, formula',
        [
            ('official', 0.7, official_radius),
            ('official', 0.3, official_radius),
            ('exact', 0.3, exact_radius),
        ],
    )
    def test_every_whole_size_to_the_last_bit(
        self, mode: RadiusMode, overlap: float, formula: Callable[[int, int, float], int]
    ) -> None:
        """Of 0.7 six pairs, of 0.3 200 have a root next to a whole number, and are truncated."""
        heights, widths = torch.meshgrid(torch.arange(513), torch.arange(513), indexing='ij')
        radii = gaussian_radii(heights, widths, overlap, mode)
        expected = [[formula(h, w, overlap) for w in range(513)] for h in range(513)]
        assert (radii != torch.tensor(expected)).nonzero().tolist() == []

    def test_sizes_are_rounded_up_as_published(self) -> None:
        torch.manual_seed(0)
        heights, widths = 130 * torch.rand(2, 3000)
        radii = gaussian_radii(heights, widths)
        sizes = zip(heights.tolist(), widths.tolist(), strict=True)
        assert radii.tolist() == [official_radius(h, w, 0.7) for h, w in sizes]

    @pytest.mark.filterwarnings('error')
    @pytest.mark.parametrize('mode', ['official', 'exact'])
    def test_single_and_inverted_boxes(self, mode: RadiusMode) -> None:
        assert gaussian_radii(torch.tensor(32.0), torch.tensor(32.0), 0.7, mode).shape == ()
        gaussian_radii(torch.tensor([-5.0, math.nan]), torch.tensor([50.0, 1.0]), 0.7, mode)

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
        assert maps.cells.tolist() == [0, 1, 2, 4, 5, 6]
        side = math.exp(-0.5 / 0.5**2)  # radius 1: sigma 3 / 6
        row = [side, 1, side, 0]
        expected = torch.tensor([row, [side * v for v in row], [0, 0, 0, 0]])
        assert torch.allclose(maps.to_dense()[0, 0], expected, atol=1e-7)

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
        maps = gaussian_heatmaps(*arguments, divisor).to_dense()
        expected = drawn_by_loops(*arguments, divisor)
        assert torch.allclose(maps.double(), expected, atol=2e-7)
        assert torch.equal(maps == 1, expected == 1)
        assert all(map(torch.equal, before, arguments[1:]))

    def test_a_crowd_on_one_map(self) -> None:
        torch.manual_seed(0)
        n, shape = 200, (1, 1, 9, 31)
        cells_xy = torch.stack([torch.randint(0, 31, (n,)), torch.randint(0, 9, (n,))], 1)
        zeros, radii = torch.zeros(n, dtype=torch.long), torch.randint(0, 40, (n,))
        maps = gaussian_heatmaps(shape, zeros, zeros, cells_xy, radii)
        assert maps.cells.tolist() == list(range(9 * 31))
        expected = drawn_by_loops(shape, zeros, zeros, cells_xy, radii, 6)
        assert torch.allclose(maps.to_dense().double(), expected, atol=2e-7)
        assert torch.equal(maps.to_dense() == 1, expected == 1)

    def test_what_a_gpu_draws(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch.manual_seed(0)
        shape, images, channels = (2, 3, 11, 9), torch.tensor([0, 1, 1]), torch.tensor([2, 0, 0])
        cells_xy, radii = torch.tensor([[8, 0], [3, 3], [9, 4]]), torch.tensor([4, 0, 5])
        monkeypatch.setattr(gaussian_targets, '_listed', gaussian_targets._drawn)
        maps = gaussian_heatmaps(shape, images, channels, cells_xy, radii)
        expected = drawn_by_loops(shape, images, channels, cells_xy, radii, 6)
        assert torch.allclose(maps.double(), expected, atol=2e-7)
        empty = radii[:0]
        assert not gaussian_heatmaps(shape, empty, empty, cells_xy[:0], empty).any()

    def test_far_outside(self) -> None:
        """Where a coordinate that is not a number ends up as an integer."""
        limits = torch.iinfo(torch.int64)
        cells_xy = torch.tensor([[limits.min, 1], [1, limits.max], [limits.min, limits.min]])
        zeros = torch.zeros(3, dtype=torch.long)
        maps = gaussian_heatmaps((1, 1, 4, 4), zeros, zeros, cells_xy, torch.tensor([5, 5, 5]))
        assert not len(maps.cells)

    def test_no_objects(self) -> None:
        empty = torch.zeros(0, dtype=torch.long)
        maps = gaussian_heatmaps((2, 3, 4, 5), empty, empty, empty.view(0, 2), empty)
        assert maps.shape == (2, 3, 4, 5)
        assert not maps.to_dense().any()
