"""Masks out of prototypes: coefficients times prototypes, cut to the box, brought to the image.

Bolya et al., "YOLACT", ICCV 2019, section 3.3. Everything is done for all objects of an image at
once. The map of prototypes covers the canvas, that is the network input with its padding, and boxes
are in pixels of the canvas; the image is its upper left part. So a mask is right whatever part of
the canvas the image fills.

Shapes: K prototypes of h x w cells, n objects, H x W the canvas.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_MARGIN_CELLS = 1  # the released crop leaves so much around the box
_VALUES_AT_ONCE = 1 << 25  # of masks in the size of the image: bounds the memory


def mask_logits(prototypes: Tensor, coefficients: Tensor) -> Tensor:
    """The masks before sigmoid and crop.

    Args:
        prototypes: ``[K, h, w]``.
        coefficients: ``[n, K]``.

    Returns:
        ``[n, h, w]``.
    """
    return (coefficients @ prototypes.flatten(1)).unflatten(1, prototypes.shape[1:])


def box_windows(
    boxes_xyxy: Tensor, canvas_size: tuple[int, int], map_size: Sequence[int]
) -> Tensor:
    """Which cells of a map lie in each box, with a margin of one cell.

    Args:
        boxes_xyxy: ``[n, 4]`` px of the canvas; corners may be swapped.
        canvas_size: (H, W) px.
        map_size: (h, w) cells.

    Returns:
        ``[n, h, w]`` bool: the cells of index i with ``x1 - 1 <= i < x2 + 1``, x1 and x2 in cells,
        and likewise in y.

    >>> box_windows(torch.tensor([[4.0, 0, 6, 8]]), (8, 16), (2, 8)).int()
    tensor([[[0, 1, 1, 1, 0, 0, 0, 0],
             [0, 1, 1, 1, 0, 0, 0, 0]]], dtype=torch.int32)
    """
    columns = _inside(boxes_xyxy[:, 0::2], canvas_size[1], map_size[1])  # [n, w]
    rows = _inside(boxes_xyxy[:, 1::2], canvas_size[0], map_size[0])  # [n, h]
    return rows[:, :, None] & columns[:, None, :]


def _inside(edges_px: Tensor, pixels: int, cells: int) -> Tensor:
    """Which cells of an axis lie between two edges ``[n, 2]``; ``[n, cells]`` bool."""
    first, last = (edges_px * (cells / pixels)).aminmax(dim=1, keepdim=True)
    index = torch.arange(cells, device=edges_px.device)
    return (index >= first - _MARGIN_CELLS) & (index < last + _MARGIN_CELLS)


def assemble_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes_xyxy: Tensor,
    canvas_size: tuple[int, int],
    image_size: tuple[float, float],
    output_size: tuple[int, int],
    threshold: float = 0.5,
) -> Tensor:
    """The binary masks of an image.

    Args:
        prototypes: ``[K, h, w]``, float.
        coefficients: ``[n, K]``.
        boxes_xyxy: ``[n, 4]`` px of the canvas.
        canvas_size: (H, W) px of the network input.
        image_size: (height, width) px of the part of the canvas that the image fills.
        output_size: (height, width) px of the result, usually of the original image.
        threshold: least probability (exclusive) of a mask.

    Returns:
        ``[n, *output_size]`` bool.
    """
    probabilities = mask_logits(prototypes, coefficients).sigmoid()
    probabilities *= box_windows(boxes_xyxy, canvas_size, prototypes.shape[1:])
    if not len(coefficients):
        return torch.zeros((0, *output_size), dtype=torch.bool, device=prototypes.device)
    # output pixels per cell: the output stands for the image alone, the map for the whole canvas
    factors = [
        out / image * canvas / cells
        for out, image, canvas, cells in zip(
            output_size, image_size, canvas_size, prototypes.shape[1:], strict=True
        )
    ]
    at_once = max(_VALUES_AT_ONCE // max(output_size[0] * output_size[1], 1), 1)
    return torch.cat(
        [resize(some, output_size, factors) > threshold for some in probabilities.split(at_once)]
    )


def resize(maps: Tensor, output_size: tuple[int, int], factors: list[float]) -> Tensor:
    """The upper left part of bilinearly enlarged maps (half-pixel centers, edges repeated).

    Args:
        maps: ``[n, h, w]``, n at least 1.
        output_size: (height, width) of the part.
        factors: output pixels for a cell, in y and x. What of the map the part shows follows from
            them and not, as in ``interpolate``, from the two sizes.

    Returns:
        ``[n, *output_size]``.
    """
    resized: Tensor = torch.ops.aten.upsample_bilinear2d(
        maps[None], list(output_size), False, factors[0], factors[1]
    )
    return resized[0]
