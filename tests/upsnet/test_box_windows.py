"""Rounding of boxes to windows, and the arithmetic of windows."""

import numpy as np
import pytest
import torch

from mmext.upsnet.box_windows import Window, host_windows, window_bounds


def test_official_rounding_by_hand():
    boxes = torch.tensor([[1.9, 2.0, 4.5, 5.5], [0.2, 0.2, 0.4, 0.6], [-0.7, -1.2, 3.0, -0.6]])
    seg, mask = window_bounds(boxes)
    # left, top truncated; right, bottom: half-even + 1 against truncated + 1
    assert seg.tolist() == [[1, 2, 5, 7], [0, 0, 1, 2], [0, -1, 4, 1]]
    assert mask.tolist() == [[1, 2, 5, 6], [0, 0, 1, 1], [0, -1, 4, 1]]


def test_shared_rounding_uses_the_mask_window_twice():
    boxes = torch.tensor([[1.9, 2.0, 4.5, 5.5]])
    seg, mask = window_bounds(boxes, 'shared')
    assert seg.tolist() == mask.tolist() == [[1, 2, 5, 6]]


def test_segmentation_window_contains_mask_window():
    boxes = torch.empty(500, 4).uniform_(-20, 20, generator=torch.Generator().manual_seed(0))
    for seg, mask in zip(*host_windows(boxes), strict=True):
        assert seg.intersect(mask) == mask or mask.is_empty


def test_no_box():
    assert host_windows(torch.zeros(0, 4)) == ([], [])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_boxes_must_be_finite(value):
    with pytest.raises(ValueError, match=r'boxes_xyxy.*index 1'):
        host_windows(torch.tensor([[0.0, 0, 1, 1], [0, value, 1, 1]]))


def test_unknown_rounding():
    with pytest.raises(ValueError, match="'official' or 'shared'"):
        window_bounds(torch.zeros(1, 4), 'floor')


def test_minus_covers_exactly_the_difference():
    rng = np.random.default_rng(0)
    for _ in range(300):
        first, second = (
            Window(*np.sort(rng.integers(0, 9, 2)), *np.sort(rng.integers(0, 9, 2)))
            for _ in range(2)
        )
        counts = torch.zeros(9, 9)
        for part in first.minus(second):
            part.view(counts).add_(1)
        expected = torch.zeros(9, 9)
        first.view(expected).fill_(1)
        second.view(expected).fill_(0)
        assert torch.equal(counts, expected)
