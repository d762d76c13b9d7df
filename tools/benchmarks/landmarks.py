"""Codecs of landmarks against the loops that are published.

DARK's targets of 8 faces of 98 points, DARK's and the quarter pixel's decoding of 16 such faces,
Keypoint R-CNN's decoding of 20 persons.
The published loops are restated here in a straightforward way, with numpy and OpenCV as there.
Before anything is timed, both sides must give the same values.
"""

import statistics
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.functional.landmark_decoding import decode_heatmaps
from mmext.functional.landmark_heatmaps import STAMPS, landmark_heatmaps
from mmext.functional.roi_keypoints import decode_roi_keypoints

Floats = NDArray[np.floating[Any]]
POINTS, SIDE, SIGMA, KERNEL = 98, 64, 2.0, 11
PUBLISHED = 'the published loop'


def run(quick: bool) -> list[Row]:
    """Measures each codec."""
    faces, repetitions = (2, 5) if quick else (16, 15)
    torch.manual_seed(0)
    cells = 4 + (SIDE - 9) * torch.rand(faces, POINTS, 2)
    visible = torch.ones(faces, POINTS)
    rows = [_targets(cells[:8], visible[:8], repetitions)]
    maps, _ = landmark_heatmaps(cells, visible, (SIDE, SIDE), STAMPS['dark'])
    maps = maps * torch.rand(faces, POINTS, 1, 1).clamp(0.3) + 1e-3 * torch.rand(maps.shape)
    rows += [_decoding(maps, 'taylor', _published_taylor, 4.0, repetitions)]
    rows += [_decoding(maps, 'quarter', _published_quarter, None, repetitions)]
    rows += [_regions(5 if quick else 20, 3 if quick else 7)]
    return rows


def _targets(cells: torch.Tensor, visible: torch.Tensor, repetitions: int) -> Row:
    def ours() -> torch.Tensor:
        return landmark_heatmaps(cells, visible, (SIDE, SIDE), STAMPS['dark'])[0]

    def published() -> Floats:
        return np.stack([_published_targets(face) for face in cells.numpy()])

    np.testing.assert_allclose(ours(), published(), atol=1e-6)
    what = f"DARK's targets, 10 times {len(cells)} faces of {POINTS} points"
    return _row(what, _in_a_row(ours), _in_a_row(published), 8.0, repetitions)


def _in_a_row(function: Callable[[], object], count: int = 10) -> Callable[[], None]:
    """Ten batches of targets a turn, as a training makes them.

    A single call between two of the other side takes its 13 MB of maps anew from the system, whose
    zeroed pages cost ten times what is computed.
    """

    def run() -> None:
        for _ in range(count):
            function()

    return run


def _published_targets(points: Floats) -> Floats:
    """Point by point, a whole map each."""
    maps = np.zeros((len(points), SIDE, SIDE), np.float32)
    xs = np.arange(0, SIDE, 1, np.float32)
    ys = np.arange(0, SIDE, 1, np.float32)[:, None]
    for k, point in enumerate(points):
        left_top, right_bottom = point - 3 * SIGMA, point + 3 * SIGMA + 1
        if (left_top >= SIDE).any() or (right_bottom < 0).any():
            continue
        x, y = point
        gaussian = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * SIGMA**2))
        np.maximum(gaussian, maps[k], out=maps[k])
    return maps


def _decoding(
    maps: torch.Tensor,
    method: Any,
    published_face: Callable[[Floats], Floats],
    aim: float | None,
    repetitions: int,
) -> Row:
    faces = maps.numpy()

    def ours() -> torch.Tensor:
        return decode_heatmaps(maps, method)[0]

    def published() -> Floats:
        return np.stack([published_face(face) for face in faces])

    np.testing.assert_allclose(ours(), published(), atol=2e-3)
    what = f'{method} decoding, {len(maps)} faces of {POINTS} points'
    return _row(what, ours, published, aim, repetitions)


def _peaks(face: Floats) -> tuple[Floats, Floats, Floats]:
    """Column, row of the maximum of each map, and the places as floats."""
    index = face.reshape(len(face), -1).argmax(1)
    xs, ys = index % SIDE, index // SIDE
    return xs, ys, np.stack([xs, ys], 1).astype(np.float32)


def _published_quarter(face: Floats) -> Floats:
    """A quarter of a cell towards the larger neighbor, point by point."""
    xs, ys, places = _peaks(face)
    for k, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if 0 < x < SIDE - 1 and 0 < y < SIDE - 1:
            heatmap = face[k]
            difference = np.array(
                [heatmap[y, x + 1] - heatmap[y, x - 1], heatmap[y + 1, x] - heatmap[y - 1, x]]
            )
            places[k] += np.sign(difference) * 0.25
    return places


def _published_taylor(face: Floats) -> Floats:
    """Blur every map, scale it to its old maximum, then a Taylor step point by point."""
    xs, ys, places = _peaks(face)
    border = KERNEL // 2
    for k, (x, y) in enumerate(zip(xs, ys, strict=True)):
        padded = np.zeros((SIDE + 2 * border, SIDE + 2 * border), np.float32)
        padded[border:-border, border:-border] = face[k]
        blurred = cv2.GaussianBlur(padded, (KERNEL, KERNEL), 0)[border:-border, border:-border]
        log = np.log(np.maximum(blurred * face[k].max() / blurred.max(), 1e-10))
        if not (1 < x < SIDE - 2 and 1 < y < SIDE - 2):
            continue
        dx, dy = (log[y, x + 1] - log[y, x - 1]) / 2, (log[y + 1, x] - log[y - 1, x]) / 2
        dxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
        dyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
        across = log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]
        hessian = np.array([[dxx, across / 4], [across / 4, dyy]])
        if np.linalg.det(hessian) != 0:
            places[k] -= np.linalg.inv(hessian) @ np.array([dx, dy])
    return places


def _regions(count: int, repetitions: int) -> Row:
    """Keypoint R-CNN's 17 maps of persons, one peak each over noise."""
    maps = 0.3 * torch.randn(count, 17, 56, 56)
    peaks = 6 + 44 * torch.rand(count, 17, 2)
    gaussians, _ = landmark_heatmaps(peaks, torch.ones(count, 17), (56, 56), STAMPS['dark'])
    maps = maps + 12 * gaussians
    corners = 300 * torch.rand(count, 2)
    rois = torch.cat([corners, corners + 80 + 250 * torch.rand(count, 2)], 1)

    def ours() -> torch.Tensor:
        return decode_roi_keypoints(maps, rois)[0]

    def published() -> torch.Tensor:
        return torch.stack([_published_region(m, r) for m, r in zip(maps, rois, strict=True)])

    torch.testing.assert_close(ours(), published(), atol=1e-3, rtol=0)
    what = f'Keypoint R-CNN decoding, {count} regions of 17 points'
    return _row(what, ours, published, 5.0, repetitions)


def _published_region(maps: torch.Tensor, roi: torch.Tensor) -> torch.Tensor:
    """All maps at the region's size, then their largest pixels."""
    sides = roi[2:] - roi[:2]
    width, height = sides.ceil().long().tolist()
    resized = interpolate(maps[None], (height, width), mode='bicubic', align_corners=False)[0]
    index = resized.flatten(1).argmax(1)
    places = torch.stack((index % width, index // width), 1) + 0.5
    scores = (resized - resized.amax((1, 2), keepdim=True)).exp()  # it scores every pixel
    assert scores.shape == resized.shape
    return places * (sides / sides.ceil()) + roi[:2]


def _row(
    what: str,
    ours: Callable[[], Any],
    published: Callable[[], Any],
    aim: float | None,
    repetitions: int,
) -> Row:
    """Ours against the loop; both take turns."""
    times = milliseconds_in_turn({'ours': ours, 'loop': published}, repetitions)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Row(what, PUBLISHED, medians['ours'], medians['loop'], 'ms', aim)
