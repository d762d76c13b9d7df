"""Masks against loops over objects, cells and pixels; on padded canvases against the truth."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.yolact_edge.mask_assembly import assemble_masks, box_windows, mask_logits, resize


def plain_crop(probabilities: Tensor, box: list[float], canvas: tuple[int, int]) -> Tensor:
    """Cells of one object with an index outside of [x1 - 1, x2 + 1) are 0."""
    height, width = probabilities.shape
    x1, x2 = (box[i] * width / canvas[1] for i in (0, 2))
    y1, y2 = (box[i] * height / canvas[0] for i in (1, 3))
    out = torch.zeros_like(probabilities)
    for row in range(height):
        for column in range(width):
            if x1 - 1 <= column < x2 + 1 and y1 - 1 <= row < y2 + 1:
                out[row, column] = probabilities[row, column]
    return out


def plain_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    canvas: tuple[int, int],
    image: tuple[int, int],
    output: tuple[int, int],
) -> Tensor:
    """Object by object: combine, crop, look each output pixel up on the canvas."""
    y = (torch.arange(output[0]) + 0.5) / output[0] * image[0] / canvas[0] * 2 - 1
    x = (torch.arange(output[1]) + 0.5) / output[1] * image[1] / canvas[1] * 2 - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)[None]
    masks = []
    for own, box in zip(coefficients, boxes.tolist(), strict=True):
        combined = sum(value * plane for value, plane in zip(own, prototypes, strict=True))
        cropped = plain_crop(torch.sigmoid(combined), box, canvas)
        masks.append(
            F.grid_sample(cropped[None, None], grid, padding_mode='border', align_corners=False)
        )
    return torch.cat(masks)[:, 0]


@pytest.mark.parametrize(
    ('canvas', 'image', 'output'),
    [
        ((64, 96), (64, 96), (64, 96)),
        ((64, 96), (64, 96), (211, 117)),
        ((64, 96), (40, 96), (80, 192)),
        ((64, 96), (53, 71), (53, 71)),
        ((64, 96), (53, 71), (31, 200)),
    ],
)
def test_equals_object_by_object(
    canvas: tuple[int, int], image: tuple[int, int], output: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    prototypes, coefficients = torch.randn(4, 16, 24), torch.randn(6, 4)
    starts = torch.rand(6, 2) * 40
    boxes = torch.cat([starts, starts + 5 + torch.rand(6, 2) * 30], 1)
    wanted = plain_masks(prototypes, coefficients, boxes, canvas, image, output)
    masks = assemble_masks(prototypes, coefficients, boxes, canvas, image, output)
    assert masks.dtype == torch.bool and masks.shape == wanted.shape
    clear = (wanted - 0.5).abs() > 1e-4  # the last bit decides elsewhere
    assert clear.float().mean() > 0.99
    assert (masks == (wanted > 0.5))[clear].all()


def test_one_chunk_equals_many(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    arguments = torch.randn(4, 8, 8), torch.randn(5, 4), torch.tensor([[0.0, 0, 32, 32]] * 5)
    sizes = (32, 32), (30, 32), (45, 50)
    at_once = assemble_masks(*arguments, *sizes)
    monkeypatch.setattr('mmext.yolact_edge.mask_assembly._VALUES_AT_ONCE', 1)
    assert assemble_masks(*arguments, *sizes).equal(at_once)


def test_swapped_corners_are_the_same_window() -> None:
    """From .8 to .2 of 100 cells: the host's crop keeps one column of them, 20."""
    ordered, swapped = torch.tensor([[20.0, 10, 80, 30]]), torch.tensor([[80.0, 30, 20, 10]])
    windows = box_windows(swapped, (100, 100), (100, 100))
    assert windows.equal(box_windows(ordered, (100, 100), (100, 100)))
    assert windows.any(1).sum() == 62 and windows.any(2).sum() == 22


def test_no_objects() -> None:
    masks = assemble_masks(
        torch.randn(4, 8, 8), torch.zeros(0, 4), torch.zeros(0, 4), (32, 32), (30, 32), (60, 64)
    )
    assert masks.shape == (0, 60, 64) and masks.dtype == torch.bool


def test_logits_are_the_product() -> None:
    prototypes, coefficients = torch.randn(3, 2, 5), torch.randn(4, 3)
    wanted = torch.einsum('nk,khw->nhw', coefficients, prototypes)
    torch.testing.assert_close(mask_logits(prototypes, coefficients), wanted)


def test_resize_of_all_is_interpolate() -> None:
    maps = torch.rand(2, 5, 7)
    size = (13, 29)
    factors = [size[0] / 5, size[1] / 7]
    wanted = F.interpolate(maps[None], size, mode='bilinear', align_corners=False)[0]
    torch.testing.assert_close(resize(maps, size, factors), wanted)
