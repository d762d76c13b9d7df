"""From heat-maps of landmarks to places finer than their cells, all points at once.

Newell et al., "Stacked Hourglass Networks", ECCV 2016 (a quarter of a cell towards the larger
neighbor); Zhang et al., "Distribution-Aware Coordinate Representation", CVPR 2020 (DARK: a Taylor
expansion of the blurred map's logarithm); Huang et al., "The Devil is in the Details", CVPR 2020
(UDP's form of it).

The released codes of DARK blur whole maps and go from point to point. Here only the cells that a
peak's derivatives see are blurred, by two small matrices.

Shape legend: M maps of ``H x W`` cells; cells are x, y with centers at whole numbers.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from mmext.errors import InputError

Method = Literal['argmax', 'quarter', 'taylor', 'taylor_udp']
QuarterRule = Literal['interior', 'mmpose', 'princeton']
"""Which peaks move by a quarter of a cell, and what happens where both neighbors are equal.

``'interior'`` (Newell's, pytorch-pose's, FAN's): those that are not in the outermost cells; nothing
on a tie. ``'mmpose'``: the second row and column stay as well. ``'princeton'``: all of them; on a
tie, and where the peak is the larger one for want of a neighbor, towards 0.
"""

_EPS = torch.finfo(torch.float32).eps


def decode_heatmaps(
    maps: Tensor, method: Method = 'quarter', rule: QuarterRule = 'interior', kernel_size: int = 11
) -> tuple[Tensor, Tensor]:
    """The place of each map's peak, and its height.

    Args:
        maps: ``[..., H, W]``, any floating dtype.
        method: how to look between the cells.
        rule: of ``'quarter'``.
        kernel_size: odd side of the blur of both Taylor methods, cells; 11 belongs to sigma 2,
            17 to sigma 3.

    Returns:
        Cells ``[..., 2]``, and heights ``[...]``, both float32. A height of 0 or less means that
        the map shows no point; its place is that of the maximum all the same.

    Raises:
        ValueError: an unknown method or rule, or a kernel that is even or below 9.
    """
    if method not in get_args(Method) or rule not in get_args(QuarterRule):
        raise ValueError(
            f'expected a method of {get_args(Method)} and a rule of {get_args(QuarterRule)}, '
            f'got {method!r} and {rule!r}'
        )
    check_kernel_size(kernel_size)
    flat = maps.float().flatten(0, -3) if maps.dim() > 2 else maps.float()[None]  # [M, H, W]
    cells, heights = peak_cells(flat)
    if method == 'quarter':
        offsets = quarter_offsets(flat, cells, rule)
    elif method == 'taylor':
        offsets = taylor_offsets(flat, cells, kernel_size)
    elif method == 'taylor_udp':
        offsets = udp_offsets(flat, cells, kernel_size)
    else:
        offsets = torch.zeros_like(cells, dtype=torch.float32)
    leading = maps.shape[:-2]
    return (cells + offsets).view(*leading, 2), heights.view(leading)


def check_kernel_size(kernel_size: int) -> None:
    """ValueError for a blur that is even or below 9 (OpenCV's small kernels are no Gaussians)."""
    if kernel_size < 9 or kernel_size % 2 == 0:
        raise InputError(f'kernel_size: expected an odd number from 9, got {kernel_size}')


def peak_cells(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The largest cell of each map, the first one of several.

    Args:
        maps: ``[M, H, W]``.

    Returns:
        Cells ``[M, 2]`` int64, and values ``[M]``.
    """
    # row by row: a maximum without its index is several times faster than one with it
    ys = maps.amax(2).argmax(1)
    rows = maps.gather(1, ys[:, None, None].expand(-1, 1, maps.shape[2]))[:, 0]
    xs = rows.argmax(1)
    return torch.stack((xs, ys), dim=1), rows.gather(1, xs[:, None])[:, 0]


def quarter_offsets(maps: Tensor, cells: Tensor, rule: QuarterRule = 'interior') -> Tensor:
    """A quarter of a cell towards the larger neighbor, along x and y.

    Args:
        maps: ``[M, H, W]``.
        cells: ``[M, 2]`` of the peaks.
        rule: see :data:`QuarterRule`.

    Returns:
        ``[M, 2]`` of -0.25, 0 and 0.25.
    """
    right, left, below, above = (
        _values_at(maps, cells, dx, dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
    )
    differences = torch.stack((right - left, below - above), dim=1)
    if rule == 'princeton':
        return torch.where(differences > 0, 0.25, -0.25)
    margin = 1 if rule == 'interior' else 2
    moves = _is_inside(maps, cells, margin, 1)
    return 0.25 * differences.sign() * moves[:, None]


def taylor_offsets(maps: Tensor, cells: Tensor, kernel_size: int = 11) -> Tensor:
    """DARK: to the maximum of a parabola through the logarithm of the blurred map.

    Peaks in the two outermost cells of a side stay. The released code also scales the blurred
    map to the old maximum; that is a constant of the logarithm.

    Args:
        maps: ``[M, H, W]``.
        cells: ``[M, 2]`` of the peaks.
        kernel_size: of the blur.

    Returns:
        ``[M, 2]``.
    """
    reach = kernel_size // 2 + 2
    steps = torch.arange(-reach, reach + 1, device=maps.device)
    xs, ys = (cells[:, axis, None] + steps for axis in range(2))  # [M, P]
    height, width = maps.shape[1:]
    inside_x, inside_y = (xs >= 0) & (xs < width), (ys >= 0) & (ys < height)
    index = ys.clamp(0, height - 1)[:, :, None] * width + xs.clamp(0, width - 1)[:, None, :]
    patches = maps.flatten(1).gather(1, index.flatten(1)).view(index.shape)
    patches = patches * (inside_y[:, :, None] & inside_x[:, None, :])  # the released code pads by 0
    kernel = blur_kernel(kernel_size, maps)
    blur = torch.stack([kernel.new_zeros(2 * reach + 1) for _ in range(5)])
    for row in range(5):
        blur[row, row : row + kernel_size] = kernel
    logs = (blur @ patches @ blur.T).clamp(min=1e-10).log()  # [M, 5, 5]
    dx, dy = (logs[:, 2, 3] - logs[:, 2, 1]) / 2, (logs[:, 3, 2] - logs[:, 1, 2]) / 2
    dxx = (logs[:, 2, 4] - 2 * logs[:, 2, 2] + logs[:, 2, 0]) / 4
    dyy = (logs[:, 4, 2] - 2 * logs[:, 2, 2] + logs[:, 0, 2]) / 4
    dxy = (logs[:, 3, 3] - logs[:, 1, 3] - logs[:, 3, 1] + logs[:, 1, 1]) / 4
    offsets = _newton_steps(dx, dy, dxx, dyy, dxy)
    moves = _is_inside(maps, cells, 2, 2)
    return offsets.where(moves[:, None], 0)


def udp_offsets(maps: Tensor, cells: Tensor, kernel_size: int = 11) -> Tensor:
    """UDP's form of DARK: other differences, edges repeated, on every cell.

    Args:
        maps: ``[M, H, W]``.
        cells: ``[M, 2]`` of the peaks.
        kernel_size: of the blur.

    Returns:
        ``[M, 2]``.
    """
    along_y, along_x = (_blur_matrix(size, kernel_size, maps) for size in maps.shape[1:])
    blurred = along_y @ maps @ along_x.T
    scale = maps.amax((1, 2)) / blurred.amax((1, 2)).clamp(min=1e-12)
    logs = (blurred * scale[:, None, None]).clamp(1e-3, 50.0).log()

    def at(x: int, y: int) -> Tensor:
        return _values_at(logs, cells, x, y)

    center, right, left, below, above = at(0, 0), at(1, 0), at(-1, 0), at(0, 1), at(0, -1)
    dx, dy = (right - left) / 2, (below - above) / 2
    dxx, dyy = right - 2 * center + left + _EPS, below - 2 * center + above + _EPS
    dxy = (at(1, 1) - right - below + 2 * center - left - above + at(-1, -1)) / 2
    return _newton_steps(dx, dy, dxx, dyy, dxy)


def blur_kernel(kernel_size: int, like: Tensor) -> Tensor:
    """OpenCV's Gaussian of a side and no sigma, ``[kernel_size]``, in the type of ``like``."""
    sigma = 0.3 * ((kernel_size - 1) / 2 - 1) + 0.8
    steps = torch.arange(kernel_size, dtype=torch.float64) - kernel_size // 2
    values = (-0.5 * (steps / sigma) ** 2).exp()
    return (values / values.sum()).to(like)


def _blur_matrix(size: int, kernel_size: int, like: Tensor) -> Tensor:
    """The blur along one axis, zeros outside: ``[size, size]``."""
    cells = torch.arange(size, device=like.device)
    steps = cells[None] - cells[:, None] + kernel_size // 2
    kernel = blur_kernel(kernel_size, like)
    values = kernel[steps.clamp(0, kernel_size - 1)]
    return values * ((steps >= 0) & (steps < kernel_size))


def _values_at(maps: Tensor, cells: Tensor, dx: int, dy: int) -> Tensor:
    """The values beside the peaks, ``[M]``; those beyond the border are the border's."""
    height, width = maps.shape[1:]
    xs, ys = (cells[:, 0] + dx).clamp(0, width - 1), (cells[:, 1] + dy).clamp(0, height - 1)
    return maps.flatten(1).gather(1, (ys * width + xs)[:, None])[:, 0]


def _is_inside(maps: Tensor, cells: Tensor, first: int, last: int) -> Tensor:
    """Which peaks keep off the border by so many cells: at the left and top, right and bottom."""
    limits = cells.new_tensor([maps.shape[2], maps.shape[1]]) - last
    return ((cells >= first) & (cells < limits)).all(1)


def _newton_steps(dx: Tensor, dy: Tensor, dxx: Tensor, dyy: Tensor, dxy: Tensor) -> Tensor:
    """``-H^-1 g`` of each map, ``[M, 2]``; 0 where the Hessian is singular."""
    det = dxx * dyy - dxy * dxy
    singular = det == 0
    det = det.where(~singular, 1)
    steps = torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), dim=1) / det[:, None]
    return steps.where(~singular[:, None], 0)
