"""The anchors of YOLACT: squares of one scale for each level, centered on the cells of its map.

Bolya et al., "YOLACT", ICCV 2019, section 4, asks for the ratios 1, 1/2 and 2 at equal area. The
released code makes each a square of side ``scale * sqrt(ratio)``, and the published weights of
YOLACT and YolactEdge were trained so. The order is that of the released head: cells row by row,
within a cell the ratios.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

RATIOS = (1.0, 0.5, 2.0)
SCALES_PX = (24.0, 48.0, 96.0, 192.0, 384.0)
"""Of the levels with strides of about 8, 16, 32, 64 and 128, for images of 550 x 550."""


def square_anchors(
    map_size: tuple[int, int],
    canvas_size: tuple[int, int],
    scale_px: float,
    ratios: Sequence[float] = RATIOS,
    device: torch.device | str = 'cpu',
    aspect: float = 1.0,
) -> Tensor:
    """The anchors of one level.

    Args:
        map_size: (h, w) cells.
        canvas_size: (H, W) px of the network input, padding included; the cells divide it evenly.
        scale_px: side of the anchor of ratio 1.
        ratios: area of each anchor, relative to that of ratio 1.
        device: of the result.
        aspect: height by width of all anchors, at the area they have as squares; 1 as released.

    Returns:
        ``[h * w * A, 4]`` (x1, y1, x2, y2) px, not clipped; empty for an empty map.

    >>> square_anchors((1, 2), (8, 16), 4.0, ratios=(1.0,))
    tensor([[ 2.,  2.,  6.,  6.],
            [10.,  2., 14.,  6.]])
    """
    y, x = (
        (torch.arange(cells, device=device) + 0.5) * (pixels / max(cells, 1))
        for cells, pixels in zip(map_size, canvas_size, strict=True)
    )
    half_side = torch.tensor(ratios, device=device).sqrt() * (scale_px / 2)  # [A]
    half = half_side[:, None] * torch.tensor([aspect**-0.5, aspect**0.5], device=device)  # [A, 2]
    centers = torch.stack(torch.meshgrid(x, y, indexing='xy'), dim=-1)  # [h, w, 2]
    centers = centers[:, :, None]  # [h, w, 1, 2]
    return torch.cat([centers - half, centers + half], dim=-1).reshape(-1, 4)
