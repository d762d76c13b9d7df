"""Reading key point heat-maps: local maxima, the best K, values at cells; whole batches at once.

Zhou et al., "Objects as Points", 2019, section 3; Duan et al., "CenterNet: Keypoint
Triplets", 2019, section 3. Heads of both CenterNets and of others stand on this; what
the maps are trained to be is in :mod:`mmext.functional.gaussian_targets`.

Shape legend: B images, C channels (classes or joints), ``H x W`` cells, K peaks. A
*cell* is an index ``y * W + x``; coordinates are in cells.
"""

from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


class Peaks(NamedTuple):
    """The K best local maxima of each image, best first; each field is ``[B, K]``.

    Where an image has fewer, ``values`` is -inf (a score of 0) and the other fields name some
    cell of the map.
    """

    values: Tensor
    channels: Tensor
    cells: Tensor
    xs: Tensor
    ys: Tensor


def find_peaks(logits: Tensor, k: int, kernel_size: int = 3) -> Peaks:
    """The K largest local maxima over all channels of each image.

    A cell is a maximum if no cell of its channel within the window is larger. The result is that
    of the published code, which max-pools the sigmoid, masks it and takes the best K. It differs
    only for logits above 16, of which the sigmoid is 1 alike. Values are logits: take their
    sigmoid.

    Args:
        logits: ``[B, C, H, W]``, any floating dtype. NaN is never a maximum.
        k: wanted peaks, K becomes ``min(k, C * H * W)``.
        kernel_size: odd side of the window in cells.

    Returns:
        See :class:`Peaks`; values keep the dtype of the logits.

    Raises:
        ValueError: for other shapes, an even window or ``k < 1``.
    """
    if logits.dim() != 4 or not logits.is_floating_point():
        raise ValueError(f'logits: expected float [B, C, H, W], got {list(logits.shape)}')
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f'kernel_size: expected an odd number of cells, got {kernel_size}')
    height, width = logits.shape[2:]
    # a GPU would have to wait for the number of rows; a graph that is exported cannot branch on it
    counts = logits.device.type == 'cpu' and not torch.compiler.is_exporting()
    best = _peaks_of_best_rows(logits, k, kernel_size) if counts else None
    if best is None:
        is_peak = _window_maximum(logits, kernel_size) == logits
        best = top_k(logits.where(is_peak, -torch.inf), k)
    values, index = best
    cells = index % (height * width)
    return Peaks(values, index // (height * width), cells, cells % width, cells // width)


def top_k(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The K largest values of each image, sorted.

    They are in the K rows with the largest maxima, so that only these rows are sorted.

    Args:
        values: ``[B, ..., W]``.
        k: K becomes ``min(k, values per image)``.

    Returns:
        Values ``[B, K]``, descending, and their index ``[B, K]`` into the flattened image.

    Raises:
        ValueError: ``k < 1``.
    """
    if k < 1:
        raise ValueError(f'k: expected at least 1, got {k}')
    rows = values.flatten(1).unflatten(1, (-1, values.shape[-1]))  # [B, R, W]
    width = rows.shape[2]
    if rows.shape[1] <= k:
        flat = rows.flatten(1)
        top, index = flat.topk(min(k, flat.shape[1]), dim=1)
        return top, index
    best_rows = rows.amax(2).topk(k, dim=1, sorted=False).indices  # [B, K]
    row_values = rows.gather(1, best_rows[:, :, None].expand(-1, -1, width)).flatten(1)  # [B, K*W]
    top, index = row_values.topk(k, dim=1)
    return top, best_rows.gather(1, index // width) * width + index % width


def gather_cells(features: Tensor, cells: Tensor) -> Tensor:
    """The feature vectors of some cells.

    Args:
        features: ``[B, C, H, W]``.
        cells: ``[B, K]`` integers ``y * W + x``.

    Returns:
        ``[B, K, C]``.
    """
    index = cells[:, None].expand(-1, features.shape[1], -1)
    return features.flatten(2).gather(2, index).transpose(1, 2)


def halves(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The maps of images and those of their flipped images, ``[B, ...]`` each of ``[2B, ...]``."""
    count = maps.shape[0] // 2  # slices, which every runtime has; `chunk` of an open size it lacks
    return maps[:count], maps[count:]


def _peaks_of_best_rows(logits: Tensor, k: int, kernel_size: int) -> tuple[Tensor, Tensor] | None:
    """The K best peaks and their index, searched only in the rows that can have them.

    The maximum of a row is surely a peak if it is no less than the maxima of the rows within its
    window. The K-th best of these sure peaks is a bound: rows below it have none of the K best.
    Returns None where too many rows are left for this to be faster.
    """
    height, width = logits.shape[2:]
    count = logits.shape[1] * height
    if not len(logits) or not 0 < k <= count:
        return None
    row_maxima = logits.amax(3)  # [B, C, H]
    reach = kernel_size // 2
    is_sure = _line_maximum(row_maxima, kernel_size) == row_maxima
    sure = row_maxima.where(is_sure, -torch.inf).flatten(1)  # [B, C*H]
    bound = sure.topk(k, dim=1).values[:, -1:]
    flat = row_maxima.flatten(1)
    num_rows = int((flat >= bound).sum(1).amax())
    if bool((bound == -torch.inf).any() | flat.isnan().any()) or num_rows > count // 4:
        return None
    rows = flat.topk(num_rows, dim=1).indices  # [B, M]
    ys = rows % height
    steps = torch.arange(-reach, reach + 1, device=rows.device)
    near = (rows - ys)[..., None] + (ys[..., None] + steps).clamp(0, height - 1)  # [B, M, k]
    near += count * torch.arange(len(rows), device=rows.device)[:, None, None]
    values = logits.reshape(-1, width).index_select(0, near.flatten()).view(*near.shape, width)
    middle = values[:, :, reach]  # [B, M, W]
    is_peak = _line_maximum(values.amax(2), kernel_size) == middle
    top, index = top_k(middle.where(is_peak, -torch.inf), k)
    return top, rows.gather(1, index // width) * width + index % width


def _line_maximum(lines: Tensor, kernel_size: int) -> Tensor:
    """The maximum of each window along the last axis."""
    reach, size = kernel_size // 2, lines.shape[-1]
    padded = pad(lines, (reach, reach), value=-torch.inf)
    return reduce(torch.maximum, [padded[..., i : i + size] for i in range(kernel_size)])


def _window_maximum(maps: Tensor, kernel_size: int) -> Tensor:
    """The maximum of each window, first along x and then along y: ``[B, C, H, W]``.

    Shifted maps compared as wholes: fifty times faster on a CPU than max_pool2d.
    """
    reach = kernel_size // 2
    height, width = maps.shape[2:]
    padded = pad(maps, (reach,) * 4, value=-torch.inf)
    along_x = reduce(torch.maximum, [padded[..., i : i + width] for i in range(kernel_size)])
    return reduce(torch.maximum, [along_x[:, :, i : i + height] for i in range(kernel_size)])
