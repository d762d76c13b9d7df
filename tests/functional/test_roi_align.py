"""roi_align against a plain-loop restatement and finite differences."""

from itertools import product
from math import ceil, floor

import pytest
import torch
from torch import Tensor

from mmext.functional import roi_align as module
from mmext.functional.roi_align import roi_align


def sample(plane: Tensor, y: float, x: float) -> Tensor:
    """Bilinear sample [C] of [C, H, W]: border up to one cell outside, then zero."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(len(plane))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    result = plane.new_zeros(len(plane))
    for row, column in product((floor(y), floor(y) + 1), (floor(x), floor(x) + 1)):
        if row < height and column < width:
            result += plane[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return result


def loop_oracle(features, rois, output_size, scale=1.0, ratio=0, aligned=True) -> Tensor:
    outputs = features.new_zeros(len(rois), features.shape[1], *output_size)
    for r, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (value * scale - (0.5 if aligned else 0) for value in box)
        extent = (y2 - y1, x2 - x1) if aligned else (max(y2 - y1, 1), max(x2 - x1, 1))
        size = [extent[axis] / output_size[axis] for axis in range(2)]
        grid = [ratio or ceil(size[axis]) for axis in range(2)]
        for i, j in product(range(output_size[0]), range(output_size[1])):
            for p, q in product(range(grid[0]), range(grid[1])):
                y = y1 + (i + (p + 0.5) / grid[0]) * size[0]
                x = x1 + (j + (q + 0.5) / grid[1]) * size[1]
                value = sample(features[int(image)], y, x)
                outputs[r, :, i, j] += value / (grid[0] * grid[1])
    return outputs


def random_case(seed=0, images=2, num_rois=12, size=(7, 9)):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, 3, *size, generator=generator, dtype=torch.float64)
    ids = torch.randint(images, (num_rois, 1), generator=generator)
    centres = torch.rand(num_rois, 2, generator=generator, dtype=torch.float64) * 30
    extents = torch.rand(num_rois, 2, generator=generator, dtype=torch.float64) * 40
    return features, torch.cat([ids, centres - extents / 2, centres + extents / 2], 1)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 1, 2, 3])
@pytest.mark.parametrize('max_entries', [1, 1 << 22])
def test_equals_plain_loops(monkeypatch, max_entries, ratio, aligned):
    monkeypatch.setattr(module, '_MAX_ENTRIES', max_entries)
    features, rois = random_case(ratio)
    arguments = ((3, 2), 0.25, ratio, aligned)
    expected = loop_oracle(features, rois, *arguments)
    torch.testing.assert_close(roi_align(features, rois, *arguments), expected)


def test_whole_cells_by_hand():
    features = torch.arange(16.0).view(1, 1, 4, 4)
    rois = torch.tensor([[0.0, 1.0, 1.0, 3.0, 3.0]])
    pooled = roi_align(features, rois, (2, 2))
    assert pooled.flatten().tolist() == [5.0, 6.0, 9.0, 10.0]
    assert roi_align(features, rois, (1, 1)).item() == 7.5


@pytest.mark.parametrize('ratio', [0, 2])
def test_gradient_against_finite_differences(ratio):
    features, rois = random_case(num_rois=4, size=(3, 4))
    leaf = features.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, (2, 3), 0.25, ratio), leaf)


def test_no_rois_and_rois_without_area():
    features, rois = random_case()
    leaf = features.requires_grad_()
    empty = roi_align(leaf, rois[:0], (2, 3))
    assert empty.shape == (0, 3, 2, 3)
    flat = rois.clone()
    flat[:, 3:] = flat[:, 1:3]
    pooled = roi_align(leaf, flat, (2, 3))
    assert not pooled.any()
    (empty.sum() + pooled.sum()).backward()
    assert not leaf.grad.any()


def test_rois_do_not_influence_each_other():
    features, rois = random_case()
    alone = [roi_align(features, roi[None], (2, 2), 0.25) for roi in rois]
    torch.testing.assert_close(roi_align(features, rois, (2, 2), 0.25), torch.cat(alone))


def test_half_precision_is_computed_in_float32():
    features, rois = random_case()
    half = features.bfloat16()
    pooled = roi_align(half, rois.float(), (2, 2), 0.25)
    expected = roi_align(half.float(), rois.float(), (2, 2), 0.25)
    assert torch.equal(pooled, expected.bfloat16())


def test_wrong_rois_are_named():
    with pytest.raises(ValueError, match=r'rois: expected \[R, 5\], got \[2, 4\]'):
        roi_align(torch.zeros(1, 1, 2, 2), torch.zeros(2, 4), (1, 1))
    with pytest.raises(ValueError, match='1 of 2 RoIs'):
        rois = torch.zeros(2, 5)
        rois[1, 3] = torch.nan
        roi_align(torch.zeros(1, 1, 2, 2), rois, (1, 1))
