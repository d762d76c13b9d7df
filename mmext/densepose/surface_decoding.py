"""Maps of regions as parts and coordinates of pixels: the label first, then its channel alone.

The released order enlarges all channels to the size of the person, then picks one of them for each
pixel. Here the part of a pixel is that of the cells around it wherever these agree (a weighted mean
of scores is largest where all of them are); only pixels at the borders of parts need all channels,
and U and V are read from one channel each. Results are the same.

Güler et al., "DensePose", CVPR 2018, in the form of detectron2. Shapes: C channels, S cells of a
side of the map, h x w px of a person.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class SurfacePixels(NamedTuple):
    """What the pixels of a person are: part ``[h, w]`` uint8, 0 is none; U and V ``[h, w]``."""

    part: Tensor
    u: Tensor
    v: Tensor


class _Reads(NamedTuple):
    """Between which cells the n pixels of an axis lie: two indices, the weight of the second."""

    first: Tensor
    second: Tensor
    weight: Tensor

    def counts(self, cells: int) -> Tensor:
        """The number of pixels whose first cell is each of them, ``[cells]``."""
        return torch.bincount(self.first, minlength=cells)

    def of_cells(self, chosen: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        """The k pixels of some of the cells ``[B]``, and their weights of both cells.

        Returns:
            ``[B, k]``, where there are fewer the last one again, and ``[B, 2, k]``.
        """
        counts = self.counts(cells)
        last = counts.cumsum(0) - 1
        steps = torch.arange(int(counts.max()), device=chosen.device)
        pixels = torch.minimum((last - counts + 1)[chosen, None] + steps, last[chosen, None])
        second = self.weight[pixels]
        return pixels, torch.stack([1 - second, second], dim=1)


def decode_surface(
    coarse: Tensor, parts: Tensor, u: Tensor, v: Tensor, size: tuple[int, int]
) -> SurfacePixels:
    """Parts and coordinates at the size of a person.

    Args:
        coarse: logits ``[2 or 15, S, S]``, channel 0 is the background.
        parts: logits ``[25, S, S]``.
        u: ``[25, S, S]``.
        v: ``[25, S, S]``.
        size: h and w.
    """
    rows, columns = (
        _reads(cells, pixels, parts.device)
        for cells, pixels in zip(parts.shape[1:], size, strict=True)
    )
    body_cells = coarse.float().max(0).indices > 0
    body = resized_argmax(coarse.float(), rows, columns) > 0
    part = resized_argmax(parts.float(), rows, columns, _any_corner(body_cells)) * body
    return SurfacePixels(part, *_label_values((u, v), part, rows, columns))


def quantized(pixels: SurfacePixels) -> Tensor:
    """Part, U and V as ``[3, h, w]`` uint8; coordinates 0 to 1 become 0 to 255, cut off."""
    scaled = [(255 * values).clamp(0, 255).to(torch.uint8) for values in (pixels.u, pixels.v)]
    return torch.stack([pixels.part, *scaled])


def certainty(coarse: Tensor, parts: Tensor) -> Tensor:
    """How sure surfaces are: the mean probability of the body times that of the part, on the body.

    Args:
        coarse: logits ``[R, 2 or 15, S, S]``, channel 0 is the background.
        parts: logits ``[R, 25, S, S]``.

    Returns:
        ``[R]``, 0 to 1; 0 where there is no body.
    """
    body = 1 - coarse.float().softmax(1)[:, 0]
    part = parts.float().softmax(1)[:, 1:].amax(1)
    on = body > 0.5
    count = on.sum((1, 2)).clamp(min=1)
    sure: Tensor = (body * on).sum((1, 2)) * (part * on).sum((1, 2)) / count.square()
    return sure


def resized_argmax(
    maps: Tensor, rows: _Reads, columns: _Reads, wanted: Tensor | None = None
) -> Tensor:
    """The largest channel of maps ``[C, S, S]`` after a bilinear resize, ``[h, w]`` uint8.

    The pixels between the same four cells are a block. Where the cells agree so do the pixels; the
    other blocks are computed, all channels of B of them at once.

    Args:
        maps: C up to 255.
        rows: of h pixels.
        columns: of w pixels.
        wanted: blocks ``[S, S]`` whose pixels are needed; those of others may be wrong.
    """
    side = maps.shape[2]
    winners = maps.max(0).indices.to(torch.uint8)  # several times faster than argmax
    step = (torch.arange(side, device=maps.device) + 1).clamp(max=side - 1)
    right, below = winners[:, step], winners[step]
    differ = (winners != right) | (winners != below) | (winners != right[step])
    differ &= (rows.counts(side) > 0)[:, None] & (columns.counts(side) > 0)
    if wanted is not None:
        differ &= wanted
    labels = winners.flatten().index_select(0, _cells(rows, columns, side).flatten())
    labels = labels.view(len(rows.first), -1)
    y, x = differ.nonzero().T  # [B]
    if not len(y):
        return labels
    corners = torch.stack([r * side + c for r in (y, step[y]) for c in (x, step[x])], dim=1)
    table = maps.flatten(1).T.contiguous()  # [S S, C]
    scores = table.index_select(0, corners.flatten()).unflatten(0, corners.shape)  # [B, 4, C]
    (pixel_y, down), (pixel_x, across) = rows.of_cells(y, side), columns.of_cells(x, side)
    weights = (down[:, :, None, :, None] * across[:, None, :, None, :]).flatten(3).flatten(1, 2)
    channel, scores = _candidates(scores)
    best = (scores.mT @ weights).max(1).indices  # [B, ky kx]
    chosen = channel.gather(1, best)
    places = pixel_y[:, :, None] * labels.shape[1] + pixel_x[:, None, :]
    labels.view(-1)[places.flatten()] = chosen.flatten().to(torch.uint8)
    return labels


def _cells(rows: _Reads, columns: _Reads, side: int) -> Tensor:
    """The first cell of each pixel, ``[h, w]`` int32; selecting by it is faster than by axis."""
    return (rows.first.int() * side)[:, None] + columns.first.int()


def _candidates(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The channels that can be the largest somewhere in their block.

    No value of a channel exceeds that of its largest cell; the largest channel of a pixel is not
    below the best smallest cell.

    Args:
        scores: of the four cells of B blocks ``[B, 4, C]``.

    Returns:
        K channels of each block ``[B, K]`` and their scores ``[B, 4, K]``.
    """
    largest, floor = scores.amax(1), scores.amin(1).amax(1)
    count = int((largest >= floor[:, None]).sum(1).max())
    channel = largest.topk(count, sorted=False).indices
    return channel, scores.gather(2, channel[:, None].expand(-1, 4, -1))


def _any_corner(cells: Tensor) -> Tensor:
    """Of each block whether one of its four cells is set, ``[S, S]`` bool."""
    right = torch.cat([cells[:, 1:], cells[:, -1:]], dim=1) | cells
    return torch.cat([right[1:], right[-1:]]) | right


def _reads(cells: int, pixels: int, device: torch.device) -> _Reads:
    """Bilinear, centers at half pixels, as torch's ``interpolate`` without aligned corners."""
    place = (torch.arange(pixels, device=device, dtype=torch.float32) + 0.5) * (cells / pixels)
    place = (place - 0.5).clamp(min=0)
    first = place.floor().clamp(max=cells - 1)
    second = (first + 1).clamp(max=cells - 1)
    return _Reads(first.long(), second.long(), place - first)


def _label_values(
    channels: tuple[Tensor, ...], part: Tensor, rows: _Reads, columns: _Reads
) -> list[Tensor]:
    """Maps ``[C, S, S]`` at the channel of each pixel's part, 0 where it is 0; ``[h, w]`` float32.

    Args:
        channels: maps.
        part: ``[h, w]`` uint8.
        rows: of h pixels.
        columns: of w pixels.
    """
    side = channels[0].shape[2]
    # beyond the last cell comes a foreign one, whose weight is 0
    across, down = (r.weight * (r.first < side - 1) for r in (columns, rows))
    first = (part.int() * (side * side) + _cells(rows, columns, side)).flatten()
    found = []
    for maps in channels:
        flat = torch.cat([maps.float().flatten(), maps.new_zeros(side + 1, dtype=torch.float32)])
        flat[: side * side] = 0  # the background
        cells = [
            flat[distance:].index_select(0, first).view(part.shape)
            for distance in (0, 1, side, side + 1)
        ]
        upper, lower = cells[0].lerp_(cells[1], across), cells[2].lerp_(cells[3], across)
        found.append(upper.lerp_(lower, down[:, None]))
    return found
