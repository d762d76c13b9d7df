"""Targets of keypoint triplets against the published procedure, object by object."""

import math

import numpy as np
import pytest
import torch

from mmext.centernet.triplet_targets import triplet_targets

CLASSES, MAP, IMAGE = 3, (16, 24), (64, 96)


def radius(height: float, width: float, overlap: float = 0.7) -> int:
    """As released: sizes rounded up, roots that are not those of the equations."""
    h, w = math.ceil(height), math.ceil(width)
    equations = [
        (1, h + w, w * h * (1 - overlap) / (1 + overlap)),
        (4, 2 * (h + w), (1 - overlap) * w * h),
        (4 * overlap, -2 * overlap * (h + w), (overlap - 1) * w * h),
    ]
    roots = [(b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in equations]
    return max(0, int(min(roots)))


def stamp(plane: np.ndarray, x: int, y: int, r: int, divisor: float) -> None:
    sigma = (2 * r + 1) / divisor
    for i in range(max(y - r, 0), min(y + r + 1, plane.shape[0])):
        for j in range(max(x - r, 0), min(x + r + 1, plane.shape[1])):
            value = math.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * sigma**2))
            plane[i, j] = max(plane[i, j], value)


def oracle(boxes: np.ndarray, labels: np.ndarray):
    """Heat-maps [3, C, H, W], and for each object its three cells and offsets."""
    heat = np.zeros((3, CLASSES, *MAP))
    places = []
    for box, label in zip(boxes, labels, strict=True):
        x1, y1, x2, y2 = box / 4
        points = [(x1, y1), (x2, y2), ((x1 + x2) / 2, (y1 + y2) / 2)]
        row = []
        for kind, (x, y) in enumerate(points):
            j, i = min(int(x), MAP[1] - 1), min(int(y), MAP[0] - 1)
            stamp(heat[kind, label], j, i, radius(y2 - y1, x2 - x1), (6, 6, 5)[kind])
            row.append((i * MAP[1] + j, x - j, y - i))
        places.append(row)
    return heat, np.array(places).reshape(-1, 3, 3)


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    size = np.array([IMAGE[1], IMAGE[0]])
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1) * size
    corners[:, 1] = np.minimum(corners[:, 1] + 0.5, size)
    return corners.reshape(-1, 4)


@pytest.mark.parametrize('counts', [(5, 0, 9), (0, 0), (1,), (40, 3)])
def test_a_batch_equals_the_procedure_of_each_object(counts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(counts))
    boxes = [random_boxes(rng, n) for n in counts]
    if counts[0]:
        boxes[0][0] = 0, 0, IMAGE[1], IMAGE[0]  # the corner beyond the last cell
    labels = [rng.integers(0, CLASSES, n) for n in counts]
    targets = triplet_targets(
        [torch.tensor(b) for b in boxes], [torch.tensor(n) for n in labels], CLASSES, MAP, IMAGE
    )
    assert targets.is_object.sum(1).tolist() == list(counts)
    for image, count in enumerate(counts):
        heat, places = oracle(boxes[image], labels[image])
        for kind in range(3):
            target = targets[kind]
            found = target.heatmap.to_dense()[image]
            np.testing.assert_allclose(found, heat[kind], atol=1e-6)
            assert ((found == 1) == torch.tensor(heat[kind] == 1)).all()
            assert target.cells[image, :count].tolist() == places[:, kind, 0].astype(int).tolist()
            np.testing.assert_allclose(
                target.offsets[image, :count], places[:, kind, 1:], atol=1e-4
            )
            assert not target.cells[image, count:].any()
            assert not target.offsets[image, count:].any()


def test_what_is_outside_is_cut_off() -> None:
    boxes = torch.tensor(
        [
            [-20.0, -8, 20, 40],
            [-20, 0, -4, 40],  # wholly outside
            [10, 10, 10, 30],  # no area
            [90, 60, 120, 90],
        ]
    )
    clipped = torch.tensor([[0.0, 0, 20, 40], [90, 60, 96, 64]])
    labels = torch.tensor([0, 1, 1, 2])
    targets = triplet_targets([boxes], [labels], CLASSES, MAP, IMAGE)
    expected = triplet_targets([clipped], [labels[[0, 3]]], CLASSES, MAP, IMAGE)
    assert targets.is_object.tolist() == [[True, False, False, True]]
    for actual, wanted in zip(targets[:3], expected[:3], strict=True):
        assert torch.equal(actual.heatmap.to_dense(), wanted.heatmap.to_dense())
        assert torch.equal(actual.offsets[:, [0, 3]], wanted.offsets)


def test_labels_that_would_be_drawn_elsewhere() -> None:
    box = torch.tensor([[8.0, 8, 88, 60]])
    for label in (-1, CLASSES):
        with pytest.raises(ValueError, match=rf'labels: expected 0\.\.2, got {label}'):
            triplet_targets([box], [torch.tensor([label])], CLASSES, MAP, IMAGE)
    two, one = torch.zeros(2).long(), torch.zeros(1).long()
    with pytest.raises(ValueError, match='labels: expected 1 as boxes, got 2'):
        triplet_targets([box, box.repeat(2, 1)], [two, one], CLASSES, MAP, IMAGE)


def test_exact_radii_are_smaller() -> None:
    box, label = torch.tensor([[8.0, 8, 88, 60]]), torch.tensor([1])
    official = triplet_targets([box], [label], CLASSES, MAP, IMAGE)
    exact = triplet_targets([box], [label], CLASSES, MAP, IMAGE, radius_mode='exact')
    for wide, narrow in zip(official[:3], exact[:3], strict=True):
        assert len(narrow.heatmap.cells) < len(wide.heatmap.cells)
        assert torch.equal(wide.cells, narrow.cells)
