"""Running maxima along rows and columns: what corner pooling and center pooling are made of.

Law and Deng, "CornerNet", 2018, section 3.3 (corner pooling); Duan et al., "CenterNet: Keypoint
Triplets", 2019, section 3.2 (center pooling).

Shapes: N images, C channels, ``H x W`` cells.
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import pad

from mmext.errors import InputError

_OPEN_STEPS = 10  # 1024 cells at stride 4 are images of 4096 px

Direction = Literal['top', 'bottom', 'left', 'right']


def directional_maximum(features: Tensor, direction: Direction) -> Tensor:
    """The maximum of all cells from the far border to each cell.

    The gradient goes to the first cell, seen from the far border, that has the maximum.

    Args:
        features: ``[N, C, H, W]``, any floating dtype.
        direction: where the maximum grows to: 'top' looks at the cells below
            (``out[i] = max(x[i:])``), 'bottom' at those above, 'left' at those on the
            right, 'right' at those on the left.

    Returns:
        ``[N, C, H, W]``.

    Raises:
        InputError: for an unknown direction.
    """
    if direction not in get_args(Direction):
        raise InputError(f'direction: expected one of {get_args(Direction)}, got {direction!r}')
    upwards = direction in ('top', 'left')
    axis = 2 if direction in ('top', 'bottom') else 3
    if torch.compiler.is_exporting():
        return shifted_maximum(features, axis, upwards)
    if features.device.type != 'cpu':  # few launches of large kernels
        if torch.is_grad_enabled() and features.requires_grad:
            return _flip_if(_flip_if(features, axis, upwards).cummax(axis).values, axis, upwards)
        return doubling_maximum(features, axis, upwards)
    if axis == 3:  # memory is read line by line
        transposed = features.transpose(2, 3).contiguous()
        result: Tensor = _ColumnMaximum.apply(transposed, upwards)
        return result.transpose(2, 3).contiguous()
    result = _ColumnMaximum.apply(features.contiguous(), upwards)
    return result


def cross_maximum(column_features: Tensor, row_features: Tensor) -> Tensor:
    """The maximum of each cell's column plus the maximum of its row.

    Args:
        column_features: ``[N, C, H, W]``, of which whole columns are pooled.
        row_features: ``[N, C, H, W]``, of which whole rows are pooled.

    Returns:
        ``[N, C, H, W]``. Cells that share a maximum share its gradient.
    """
    return column_features.amax(2, keepdim=True) + row_features.amax(3, keepdim=True)


def doubling_maximum(features: Tensor, axis: int, upwards: bool) -> Tensor:
    """Running maximum along an axis in ``log2(size)`` steps, each twice as long.

    Args:
        features: ``[...]``, any shape.
        axis: the axis of the scan.
        upwards: whether the scan goes from the last cell to the first.

    Returns:
        The shape of ``features``.
    """
    result = features
    step, size = 1, features.shape[axis]
    while step < size:
        head, tail = result.narrow(axis, 0, size - step), result.narrow(axis, step, size - step)
        larger = torch.maximum(head, tail)
        kept = result.narrow(axis, size - step if upwards else 0, step)
        result = torch.cat((larger, kept) if upwards else (kept, larger), axis)
        step *= 2
    return result


def shifted_maximum(features: Tensor, axis: int, upwards: bool) -> Tensor:
    """As :func:`doubling_maximum`, of shifted wholes: for graphs, whose size may be open.

    Args:
        features: ``[N, C, H, W]``, if the size is open at most ``2 ** 10`` cells along the axis.
        axis: 2 or 3.
        upwards: whether the scan goes from the last cell to the first.

    Returns:
        ``[N, C, H, W]``.
    """
    size, result = features.shape[axis], features
    steps = (size - 1).bit_length() if isinstance(size, int) else _OPEN_STEPS
    for step in (1 << i for i in range(steps)):
        widths = (0, step) if upwards else (step, 0)
        padding = widths if axis == 3 else (0, 0, *widths)
        shifted = pad(result, padding, value=-torch.inf)
        shifted = shifted.narrow(axis, step if upwards else 0, size)
        result = torch.maximum(result, shifted)
    return result


class _ColumnMaximum(torch.autograd.Function):
    """Running maximum down the columns of ``[N, C, H, W]``, or up."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, upwards: bool) -> Tensor:
        result = features.clone()
        rows = result.unbind(2)
        for row, previous in _scan(rows, upwards):
            torch.maximum(row, previous, out=row)
        ctx.save_for_backward(features, result)
        ctx.upwards = upwards
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        features, result = ctx.saved_tensors
        remaining = gradient.clone(memory_format=torch.contiguous_format)
        scans = [_scan(t.unbind(2), ctx.upwards) for t in (remaining, features, result)]
        for (row, previous), (value, _), (_, maximum) in reversed(list(zip(*scans, strict=True))):
            moved = row * (value <= maximum)  # the maximum is not this cell's
            row -= moved
            previous += moved
        return remaining, None


def _scan(rows: tuple[Tensor, ...], upwards: bool) -> list[tuple[Tensor, Tensor]]:
    """Each row but the first of a scan, and the one before it."""
    ordered = rows[::-1] if upwards else rows
    return list(zip(ordered[1:], ordered[:-1], strict=True))


def _flip_if(features: Tensor, axis: int, condition: bool) -> Tensor:
    return features.flip(axis) if condition else features
