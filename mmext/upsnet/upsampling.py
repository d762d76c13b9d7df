"""Exact pieces of an upsampled logit map that is never built.

UPSNet takes its decisions on the semantic logits upsampled from 1/4 to full resolution, C x H x W
values of which inference needs only maxima over channels and small windows of single channels.
Both are computed here from the small map, in one arithmetic, so that a value is the same bit by
bit in whatever piece it is computed: ties between channels, such as an unknown logit of exactly 0,
depend on that. (``torch.nn.functional.interpolate`` does not promise it: on the CPU its last bit
depends on the size of the map and the number of threads.)

Bilinear, half-pixel centers, as ``interpolate(mode='bilinear', align_corners=False)``: all pixels
at the same place in their cell share two scalar weights per axis, so a piece is built one phase at
a time from long multiply-adds instead of gathers.

Shapes: C channels (things first, then stuff), h x w the small map, H x W = factor*h x factor*w.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.upsnet.box_windows import Window

# Values per strip and phase: on a CPU they should stay in cache, a GPU wants few long launches.
_STRIP_VALUES_CPU = 1 << 20
_STRIP_VALUES_DEVICE = 1 << 25


class ChannelMaxima(NamedTuple):
    """Per pixel maxima over the channels of the upsampled map; every field is ``[H, W]``."""

    stuff_logits: Tensor
    """float32, largest stuff logit; -inf without stuff classes."""
    thing_logits: Tensor
    """float32, largest thing logit; -inf without thing classes."""
    stuff_indices: Tensor
    """int32, stuff class 0..S-1 of the largest stuff logit, the lowest on ties; 0 without stuff."""
    semantic_labels: Tensor
    """int32, label of the largest logit; a stuff class wins a tie with a thing class."""


def check_factor(factor: int) -> None:
    """Raise ValueError unless ``factor`` is a power of two, the only exact kind of cut-out."""
    if factor < 1 or factor & (factor - 1):
        raise InputError(f'factor: expected a power of two, got {factor}')


def upsample_window(logits: Tensor, window: Window, factor: int = 4) -> Tensor:
    """Window of the bilinearly upsampled map.

    Args:
        logits: ``[h, w]``, float.
        window: not empty, inside ``[factor*h, factor*w]``.
        factor: power of two; 1 means that the map is at full resolution already.

    Returns:
        ``[window.height, window.width]``, new memory, bit-equal to that part of the upsampled map.
    """
    if factor == 1:
        return window.view(logits).clone()
    cells = Window(
        max(window.top // factor - 1, 0),
        min((window.bottom - 1) // factor + 2, logits.shape[0]),
        max(window.left // factor - 1, 0),
        min((window.right - 1) // factor + 2, logits.shape[1]),
    )
    piece = cells.view(logits)[None]
    blocks = torch.stack(
        [block[0].clone() for block in _phase_blocks(piece, 0, cells.height, factor)]
    )
    pixels = blocks.permute(1, 0, 3, 2).reshape(cells.height * factor, cells.width * factor)
    origin = Window(cells.top * factor, 0, cells.left * factor, 0)
    return window.relative_to(origin).view(pixels)


def channel_maxima(logits: Tensor, num_things: int, factor: int = 4) -> ChannelMaxima:
    """Maxima over the stuff and the thing channels of the upsampled map.

    Args:
        logits: ``[C, h, w]``, float, label order (things 0..T-1, then stuff).
        num_things: T, may be 0 or C.
        factor: power of two, full size over size of ``logits``.

    Returns:
        The maxima at ``[factor*h, factor*w]``. Channels whose logits at one pixel differ by less
        than 1e-35 count as equal (no two distinct float32 above 1e-27 do).

    Raises:
        InputError: on a wrong shape, number of things or factor.
    """
    check_factor(factor)
    if logits.dim() != 3 or not 0 <= num_things <= len(logits) or len(logits) == 0:
        raise InputError(
            f'logits: expected [C, h, w] with C >= num_things = {num_things}, '
            f'got shape {tuple(logits.shape)}'
        )
    logits = logits.float()
    num_channels, height, width = logits.shape
    shape = (height, factor, width, factor)
    floats = [logits.new_empty(shape) for _ in range(2)]
    integers = [logits.new_empty(shape, dtype=torch.int32) for _ in range(2)]
    limit = _STRIP_VALUES_CPU if logits.device.type == 'cpu' else _STRIP_VALUES_DEVICE
    rows = max(limit // (num_channels * factor * width), 1)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stuff, things = _strip_maxima(logits, num_things, top, bottom, factor)
        stuff_labels = stuff.indices + num_things
        # `torch.where` as arithmetic, which is several times faster on a CPU
        semantic = stuff_labels + (things.logits > stuff.logits) * (things.indices - stuff_labels)
        for plane, values in zip(
            floats + integers, (stuff.logits, things.logits, stuff.indices, semantic), strict=True
        ):
            plane[top:bottom].permute(1, 0, 3, 2).copy_(values)
    maps = [plane.view(height * factor, width * factor) for plane in floats + integers]
    return ChannelMaxima(*maps)


class _Maxima(NamedTuple):
    """Maxima over one kind of channels, ``[factor, rows, factor, w]``.

    The axes are the row of a pixel in its cell, the row of the cell, and the same for columns.
    """

    logits: Tensor  # float32, -inf without channels
    indices: Tensor  # int32, 0 without channels


def _strip_maxima(
    logits: Tensor, num_things: int, top: int, bottom: int, factor: int
) -> list[_Maxima]:
    """Maxima over stuff and over things in the rows of cells ``top:bottom``.

    ``max(dim=0)`` takes three times as long on a CPU: its index is not vectorised, while ``amax``
    is. So the index comes from a second ``amax``, over the distance to the maximum, scaled so that
    it is 0 or hugely negative, plus a code that falls with the index.
    """
    num_stuff, width = len(logits) - num_things, logits.shape[2]
    kinds = [slice(num_things, None), slice(0, num_things)]
    counts = [num_stuff, num_things]
    codes = torch.cat([torch.arange(count, 0, -1) for count in reversed(counts)])
    codes = codes.to(logits)[:, None, None, None]
    shape = (2, factor, bottom - top, factor, width)
    largest, best_codes = logits.new_full(shape, -torch.inf), logits.new_zeros(shape)
    for phase, block in enumerate(_phase_blocks(logits, top, bottom, factor)):
        for kind, channels in enumerate(kinds):
            if counts[kind]:
                torch.amax(block[channels], 0, out=largest[kind, phase])
                block[channels] -= largest[kind, phase]
        torch.add(codes, block, alpha=1e38, out=block)
        for kind, channels in enumerate(kinds):
            if counts[kind]:
                torch.amax(block[channels], 0, out=best_codes[kind, phase])
    return [
        _Maxima(values, (count - code).int())
        for values, code, count in zip(largest, best_codes, counts, strict=True)
    ]


def _phase_blocks(logits: Tensor, top: int, bottom: int, factor: int) -> Iterator[Tensor]:
    """Upsampled rows of the cells ``top:bottom``, one row of every cell at a time.

    Args:
        logits: ``[C, h, w]``.
        top: first row of cells.
        bottom: end of the rows of cells.
        factor: power of two.

    Yields:
        ``factor`` times the same buffer ``[C, bottom-top, factor, w]``: row ``phase`` of every
        cell, with the columns of a cell on axis 2. The caller may overwrite it.
    """
    _, height, width = logits.shape
    rows = bottom - top
    cells = logits[:, max(top - 1, 0) : bottom + 1]
    padding = (1, 1, int(top == 0), int(bottom == height))
    cells = F.pad(cells, padding, mode='replicate')  # [C, rows+2, w+2]
    stretched = cells.new_empty(len(cells), rows + 2, factor, width)
    for column, (first, weights) in enumerate(_phases(factor)):
        left, right = (cells[:, :, first + i : first + i + width] for i in (0, 1))
        _blend(left, right, weights, out=stretched[:, :, column])
        if first == 0:  # left of the first cell center is a copy, the blend would round
            stretched[:, :, column, 0] = cells[:, :, 1]
    block = cells.new_empty(len(cells), rows, factor, width)
    for first, weights in _phases(factor):
        upper, lower = (stretched[:, first + i : first + i + rows] for i in (0, 1))
        _blend(upper, lower, weights, out=block)
        if first == 0 and top == 0:
            block[:, 0] = stretched[:, 1]
        yield block


def _phases(factor: int) -> list[tuple[int, tuple[float, float]]]:
    """Sampling of each position in a cell: offset of the first neighbor plus 1, both weights."""
    centers = [(phase + 0.5) / factor - 0.5 for phase in range(factor)]
    return [(int(c >= 0), (1 - c % 1, c % 1)) for c in centers]


def _blend(first: Tensor, second: Tensor, weights: tuple[float, float], out: Tensor) -> None:
    """``out = first * weights[0] + second * weights[1]``."""
    torch.mul(second, weights[1], out=out)
    out.add_(first, alpha=weights[0])
