"""Label crops of the RoI loss against a plain loop."""

import numpy as np
import torch

from mmext.upsnet.semantic_targets import crop_labels


def crop_by_loops(labels: np.ndarray, box: list[float], size: int) -> np.ndarray:
    x1, y1, x2, y2 = (int(np.round(corner)) for corner in box)  # numpy rounds half to even
    x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    crop = np.full((size, size), 255)
    for i in range(size):
        for j in range(size):
            y, x = y1 + i * (y2 - y1) // size, x1 + j * (x2 - x1) // size
            if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]:
                crop[i, j] = labels[y, x]
    return crop


def test_equals_the_loop_on_random_boxes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, (37, 53))
    corners = rng.integers(-12, 130, (200, 4)) / 2  # half pixels, beyond the border too
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + np.abs(corners[:, 2:])], axis=1)
    crops = crop_labels(torch.from_numpy(labels), torch.from_numpy(boxes).float(), 7)
    for crop, box in zip(crops, boxes.tolist(), strict=True):
        np.testing.assert_array_equal(crop.numpy(), crop_by_loops(labels, box, 7))


def test_degenerate_box_reads_one_pixel():
    labels = torch.arange(20).reshape(4, 5)
    crop = crop_labels(labels, torch.tensor([[2.0, 1.0, 2.0, 1.0]]), 3)
    assert (crop == labels[1, 2]).all()


def test_no_box():
    assert crop_labels(torch.zeros(4, 4), torch.zeros(0, 4), 28).shape == (0, 28, 28)


def test_label_map_stays_as_it_was():
    labels = torch.arange(16).reshape(4, 4)
    before = labels.clone()
    crop_labels(labels, torch.tensor([[-1.0, -1.0, 6.0, 6.0]]), 4)
    assert torch.equal(labels, before)
