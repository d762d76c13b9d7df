"""Key point heat-maps: Gaussian targets and peak decoding, whole batches at once.

Law and Deng, "CornerNet", 2018, section 3.2 (radius of a target); Zhou et al.,
"Objects as Points", 2019, sections 3 and 4; Duan et al., "CenterNet: Keypoint
Triplets", 2019, section 3. Heads of both CenterNets and of others stand on this.

Shape legend: B images, C channels (classes or joints), ``H x W`` cells, N objects,
K peaks. A *cell* is an index ``y * W + x``; coordinates are in cells.
"""

from functools import reduce
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

RadiusMode = Literal['official', 'exact']


class Peaks(NamedTuple):
    """The K best local maxima of each image, best first; each field is ``[B, K]``.

    Where an image has fewer, ``values`` is -inf (a score of 0) and the rest any
    place on the map.
    """

    values: Tensor
    channels: Tensor
    cells: Tensor
    xs: Tensor
    ys: Tensor


def gaussian_radii(
    heights: Tensor, widths: Tensor, min_overlap: float = 0.7, mode: RadiusMode = 'official'
) -> Tensor:
    """How far, in whole cells, a corner or centre may be off at a given overlap.

    Three quadratic equations say by how much both corners of a box may move
    inwards, outwards, or one each, until the IoU falls to ``min_overlap``; the
    smallest solution counts (CornerNet, section 3.2).

    Args:
        heights: of the boxes, any shape, in cells, at least 0.
        widths: like ``heights``.
        min_overlap: IoU in (0, 1).
        mode: 'official' is what both CenterNets trained with: sizes rounded up
            and ``(b + sqrt(b^2 - 4ac)) / 2`` for all three equations, which is not
            their solution; radii come out about three times as large. 'exact'
            solves them; mmdet's head does with ``min_overlap=0.3``.

    Returns:
        int64, the shape of ``heights``, at least 0.

    Raises:
        ValueError: for an unknown mode or an overlap outside (0, 1).
    """
    if mode not in ('official', 'exact'):
        raise ValueError(f"mode: expected 'official' or 'exact', got {mode!r}")
    if not 0 < min_overlap < 1:
        raise ValueError(f'min_overlap: expected a ratio in (0, 1), got {min_overlap}')
    h, w = heights.double(), widths.double()  # a radius is truncated: float32 flips some
    if mode == 'official':
        h, w = h.ceil(), w.ceil()
    total, area, rest = h + w, h * w, 1 - min_overlap
    # a, b, c of a r^2 - b r + c = 0 (third: a r^2 + b r + c with c < 0)
    one_each = (1.0, total, area * rest / (1 + min_overlap))
    inwards = (4.0, 2 * total, rest * area)
    outwards = (4 * min_overlap, 2 * min_overlap * total, -rest * area)
    if mode == 'official':
        a, b, c = outwards
        radii = [_larger_half_root(*e) for e in (one_each, inwards, (a, -b, c))]
    else:
        roots = [(_discriminant_root(*e), *e) for e in (one_each, inwards, outwards)]
        (s1, a1, b1, _), (s2, a2, b2, _), (s3, a3, b3, _) = roots
        radii = [(b1 - s1) / (2 * a1), (b2 - s2) / (2 * a2), (s3 - b3) / (2 * a3)]
    return torch.stack(radii).amin(0).clamp(min=0).long()


def gaussian_heatmaps(
    shape: tuple[int, int, int, int],
    images: Tensor,
    channels: Tensor,
    cells_xy: Tensor,
    radii: Tensor,
    sigmas_per_diameter: float = 6.0,
) -> Tensor:
    """Draws one Gaussian per object; where they meet, the larger value counts.

    Args:
        shape: (B, C, H, W) of the result.
        images: [N] in ``0..B-1``.
        channels: [N] in ``0..C-1``.
        cells_xy: [N, 2] integer x, y of the peaks; an object outside the map
            leaves no trace.
        radii: [N] integers; further away along x or y the target is 0.
        sigmas_per_diameter: sigma is ``(2 * radius + 1)`` divided by this: 6, or 5
            for the centres of keypoint triplets.

    Returns:
        float32 [B, C, H, W] in 0..1, exactly 1 at every peak. All 0 without objects.
    """
    batch, num_channels, height, width = shape
    heatmaps = _zeros((batch * num_channels, height * width), cells_xy.device)
    if not len(images):
        return heatmaps.view(shape)
    planes = images * num_channels + channels  # [N]
    xs, ys = cells_xy.unbind(1)
    inside = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
    planes, radii = planes.where(inside, 0), radii.where(inside, -1)  # radius -1: no cell
    sigmas = (2 * radii + 1) / sigmas_per_diameter
    rows = _profiles(ys, radii, sigmas, height)  # [N, H]
    columns = _profiles(xs, radii, sigmas, width)  # [N, W]
    # a GPU alone knows how many cells the windows have: whole maps cost less than asking it
    draw = _draw_windows if heatmaps.device.type == 'cpu' else _draw_whole_maps
    draw(heatmaps, planes, rows, columns)
    return heatmaps.view(shape)


def find_peaks(logits: Tensor, k: int, kernel_size: int = 3) -> Peaks:
    """The K largest local maxima over all channels of each image.

    A cell is a maximum if no cell of its channel within the window is larger. Gives
    what max-pooling the sigmoid, masking and top-K give, where the sigmoid tells
    logits apart (it cannot above 16), and leaves the sigmoid of K values to be taken.

    Args:
        logits: [B, C, H, W], any floating dtype. NaN is never a maximum.
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
    # a GPU would have to wait for the number of rows
    found = _peaks_of_best_rows(logits, k, kernel_size) if logits.device.type == 'cpu' else None
    if found is None:
        is_peak = _window_maximum(logits, kernel_size) == logits
        found = top_k(logits.where(is_peak, -torch.inf), k)
    values, index = found
    cells = index % (height * width)
    return Peaks(values, index // (height * width), cells, cells % width, cells // width)


def top_k(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The K largest values of each image, sorted.

    Only the K rows with the largest maxima can hold them, so that a sort of K rows
    replaces one of the whole map.

    Args:
        values: [B, ..., W].
        k: K becomes ``min(k, values per image)``.

    Returns:
        values ``[B, K]``, descending, and their index ``[B, K]`` into the flattened
        image.

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
    kept = rows.gather(1, best_rows[:, :, None].expand(-1, -1, width)).flatten(1)  # [B, K*W]
    top, index = kept.topk(k, dim=1)
    return top, best_rows.gather(1, index // width) * width + index % width


def gather_cells(features: Tensor, cells: Tensor) -> Tensor:
    """The feature vectors at some cells.

    Args:
        features: [B, C, H, W].
        cells: [B, K] integers ``y * W + x``.

    Returns:
        [B, K, C].
    """
    index = cells[:, None].expand(-1, features.shape[1], -1)
    return features.flatten(2).gather(2, index).transpose(1, 2)


def _discriminant_root(a: float, b: Tensor, c: Tensor) -> Tensor:
    return (b * b - 4 * a * c).sqrt()


def _larger_half_root(a: float, b: Tensor, c: Tensor) -> Tensor:
    return (b + _discriminant_root(a, b, c)) / 2


def _zeros(shape: tuple[int, int], device: torch.device) -> Tensor:
    """On a CPU from the operating system: pages that nothing is drawn on are never written."""
    if device.type == 'cpu':
        return torch.from_numpy(np.zeros(shape, np.float32))
    return torch.zeros(shape, device=device)


def _profiles(centers: Tensor, radii: Tensor, sigmas: Tensor, size: int) -> Tensor:
    """Gaussians along one axis, 0 beyond the radius: [N, size]."""
    distances = torch.arange(size, device=centers.device) - centers[:, None]
    values = torch.exp(-0.5 * (distances / sigmas[:, None]) ** 2)
    return values * (distances.abs() <= radii[:, None])


def _draw_whole_maps(heatmaps: Tensor, planes: Tensor, rows: Tensor, columns: Tensor) -> None:
    """Writes N maps onto [B*C, H*W] in place; arguments as for :func:`_draw_windows`."""
    drawn = (rows[:, :, None] * columns[:, None]).flatten(1)  # [N, H*W]
    heatmaps.scatter_reduce_(0, planes[:, None].expand_as(drawn), drawn, 'amax')


def _draw_windows(heatmaps: Tensor, planes: Tensor, rows: Tensor, columns: Tensor) -> None:
    """Writes only the cells within the radii, of all objects in one go.

    Args:
        heatmaps: [B*C, H*W], written in place.
        planes: [N] row of ``heatmaps``.
        rows: [N, H] factors, 0 outside the window.
        columns: [N, W] factors, 0 outside the window.
    """
    line_object, ys = rows.nonzero(as_tuple=True)  # [L], the lines of all windows
    first_x = (columns > 0).int().argmax(1)[line_object]
    lengths = (columns > 0).sum(1)[line_object]
    line = torch.repeat_interleave(lengths)  # [cells of all lines]
    # a cell's running number plus what its line adds is its place on the map, and in `columns`
    number = torch.arange(len(line))
    to_first = first_x - (lengths.cumsum(0) - lengths)
    to_map = planes[line_object] * heatmaps.shape[1] + ys * columns.shape[1] + to_first
    to_column = line_object * columns.shape[1] + to_first
    values = columns.view(-1).index_select(0, number + to_column.index_select(0, line))
    values *= rows[line_object, ys].index_select(0, line)
    index = number + to_map.index_select(0, line)
    heatmaps.view(-1).scatter_reduce_(0, index, values, 'amax')


def _peaks_of_best_rows(logits: Tensor, k: int, kernel_size: int) -> tuple[Tensor, Tensor] | None:
    """The K best peaks and their index, looked for only in the rows that can have them.

    The maximum of a row that is no less than those of the rows within its window is
    sure to be a peak. The K-th best of these is a bound: rows below it need not be
    looked at. None where that leaves too many rows to be worth it.
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
    """The maximum of each window, first along x and then along y: [B, C, H, W].

    Shifted maps compared as wholes: fifty times faster on a CPU than max_pool2d.
    """
    reach = kernel_size // 2
    height, width = maps.shape[2:]
    padded = pad(maps, (reach,) * 4, value=-torch.inf)
    along_x = reduce(torch.maximum, [padded[..., i : i + width] for i in range(kernel_size)])
    return reduce(torch.maximum, [along_x[:, :, i : i + height] for i in range(kernel_size)])
