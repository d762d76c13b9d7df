"""Goldens are of the released functions: their stamps, maps and decoded points."""

import numpy as np
import pytest
import torch

from mmext.functional.landmark_decoding import decode_heatmaps
from mmext.functional.landmark_heatmaps import (
    STAMPS,
    cells_to_points,
    landmark_heatmaps,
    named_stamp,
    points_to_cells,
)

POINTS = torch.tensor([[[100.3, 57.8], [12.2, 250.6], [0.4, 0.4], [255.0, 128.0]]])
VISIBLE = torch.ones(1, 4)
INPUT, MAP = (256, 256), (64, 64)
CELLS = [[25, 14], [3, 63], [0, 0], [63, 32]]


def released_maps(codec: str) -> tuple[torch.Tensor, torch.Tensor]:
    frame = 'corner_aligned' if codec == 'udp' else 'left_aligned'
    cells = points_to_cells(POINTS, INPUT, MAP, frame)
    return landmark_heatmaps(cells, VISIBLE, MAP, STAMPS[codec])


@pytest.mark.parametrize(
    ('codec', 'cells', 'peaks', 'sums'),
    [
        ('msra', CELLS, [1, 1, 1, 0.882497], [25.0813, 14.4728, 9.0244, 10.0366]),
        ('dark', CELLS, [0.974320, 0.984497, 0.997503, 0.932102],
         [25.1327, 16.1343, 9.6339, 11.3031]),
        ('udp', [[25, 14], [3, 62], [0, 0], [63, 32]], [0.984275, 0.999028, 0.997561, 0.982440],
         [25.0764, 19.0465, 9.6079, 15.0414]),
    ],
)  # fmt: skip
def test_maps_are_those_of_the_released_codecs(
    codec: str, cells: list, peaks: list, sums: list
) -> None:
    maps, weights = released_maps(codec)
    assert weights.tolist() == [[1, 1, 1, 1]]
    found, values = decode_heatmaps(maps, 'argmax')
    assert found[0].tolist() == cells
    np.testing.assert_allclose(values[0], peaks, atol=1e-6)
    np.testing.assert_allclose(maps.sum((2, 3))[0], sums, atol=1e-4)


@pytest.mark.parametrize(
    ('codec', 'method', 'points'),
    [
        ('msra', 'quarter', [[100, 56], [12, 252], [0, 0], [252, 128]]),
        ('dark', 'taylor', [[100.29990, 57.79890], [12, 252], [0, 0], [252, 128]]),
        ('udp', 'taylor_udp',
         [[100.6932, 58.0268], [12.452, 249.4737], [-2.0317, -2.0317], [258.0317, 128.5018]]),
    ],
)  # fmt: skip
def test_points_come_back_as_released(codec: str, method: str, points: list) -> None:
    maps, _ = released_maps(codec)
    cells, _ = decode_heatmaps(maps, method, rule='mmpose')
    frame = 'corner_aligned' if codec == 'udp' else 'left_aligned'
    found = cells_to_points(cells, INPUT, MAP, frame)
    np.testing.assert_allclose(found[0], points, atol=2e-4)


def test_stamps_are_those_of_the_released_codes() -> None:
    cells = torch.tensor([[[25.1, 13.7]]])  # the codes take (25.6, 14.2) and cut the fractions off
    maps = {
        name: landmark_heatmaps(cells, torch.ones(1, 1), MAP, stamp)[0][0, 0]
        for name, stamp in STAMPS.items()
    }
    # in float32 the sum of 49 to 169 numbers may differ in the last digit
    assert (maps['pytorch-pose'] > 0).sum() == 49
    assert maps['pytorch-pose'].sum() == pytest.approx(6.279785, abs=2e-6)
    row = [1, 0.606531, 0.135335, 0.011109]
    np.testing.assert_allclose(maps['pytorch-pose'][14, 25:29], row, atol=1e-6)
    assert (maps['princeton'] > 0).sum() == 81
    assert maps['princeton'].sum() == pytest.approx(6.283148, abs=2e-6)
    assert maps['fan'].sum() == pytest.approx(60.57186, abs=2e-5)
    assert maps['fan'].argmax() == 14 * 64 + 25
    newell = [0.23, 0.52, 0.85, 1, 0.85, 0.52, 0.23]
    np.testing.assert_allclose(maps['newell'][14, 22:29], newell, atol=5e-3)


@pytest.mark.parametrize('name', STAMPS)
def test_maps_equal_a_loop_over_the_cells(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    cells = 24 * torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) - 4
    visible = torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 2.0]])
    stamp = STAMPS[name]
    maps, weights = landmark_heatmaps(cells, visible, (12, 16), stamp)
    for n, k in np.ndindex(2, 3):
        x, y = cells[n, k].tolist()
        mx, my = np.floor(x + 0.5), np.floor(y + 0.5)
        r = stamp.radius
        hits = mx + r >= 0 and mx - r < 16 and my + r >= 0 and my - r < 12
        shown = visible[n, k] > 0 and hits
        assert weights[n, k] == shown
        for j, i in np.ndindex(12, 16):
            cx, cy = (x, y) if stamp.exact else (mx, my)
            value = np.exp(-((i - cx) ** 2 + (j - cy) ** 2) / (2 * stamp.sigma**2))
            inside = not stamp.cut or max(abs(i - mx), abs(j - my)) <= r
            assert maps[n, k, j, i].item() == pytest.approx(float(value * inside * shown), abs=1e-9)


def test_points_that_are_nowhere_have_no_weight() -> None:
    cells = torch.tensor([[[torch.nan, 3.0], [torch.inf, 3.0], [1e30, 1e30], [3.0, 3.0]]])
    maps, weights = landmark_heatmaps(cells, torch.ones(1, 4), (8, 8), STAMPS['dark'])
    assert weights.tolist() == [[0, 0, 0, 1]]
    assert maps.isfinite().all()
    assert maps[0, :3].sum() == 0
    empty, weights = landmark_heatmaps(
        torch.zeros(0, 5, 2), torch.zeros(0, 5), (8, 8), STAMPS['fan']
    )
    assert empty.shape == (0, 5, 8, 8)
    assert weights.shape == (0, 5)


@pytest.mark.parametrize('frame', ['continuous', 'left_aligned'])
def test_frames_and_back(frame: str) -> None:
    points = torch.tensor([[0.0, 0.0], [191.5, 255.0], [-3.0, 17.25]])
    cells = points_to_cells(points, (192, 256), (48, 64), frame)
    back = cells_to_points(cells, (192, 256), (48, 64), frame)
    torch.testing.assert_close(back, points, atol=1e-4, rtol=0)


def test_a_mirror_image_has_mirrored_cells_in_the_continuous_frame() -> None:
    points = torch.tensor([[10.0, 7.0], [100.25, 30.0]])
    flipped = points * torch.tensor([-1.0, 1.0]) + torch.tensor([128.0, 0.0])
    cells, mirrored = (points_to_cells(p, (128, 96), (32, 24)) for p in (points, flipped))
    torch.testing.assert_close(mirrored[:, 0], 31 - cells[:, 0])


def test_bad_names() -> None:
    with pytest.raises(ValueError, match='stamp: expected one of newell'):
        named_stamp('gauss')
    with pytest.raises(ValueError, match='sigma'):
        named_stamp('dark', 0.0)
    with pytest.raises(ValueError, match='frame'):
        points_to_cells(POINTS, INPUT, MAP, 'udp')
    assert named_stamp('dark', 3.0).radius == 9
