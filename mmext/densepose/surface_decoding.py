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
    body = resized_argmax(coarse.float(), rows, columns) > 0
    part = resized_argmax(parts.float(), rows, columns).where(body, 0)
    return SurfacePixels(part.to(torch.uint8), *_label_values(u, v, part, rows, columns))


def quantized(pixels: SurfacePixels) -> Tensor:
    """Part, U and V as ``[3, h, w]`` uint8; coordinates 0 to 1 become 0 to 255, cut off."""
    scaled = [(255 * values).clamp(0, 255).to(torch.uint8) for values in (pixels.u, pixels.v)]
    return torch.stack([pixels.part, *scaled])


def resized_argmax(maps: Tensor, rows: _Reads, columns: _Reads) -> Tensor:
    """The largest channel of maps ``[C, S, S]`` after a bilinear resize, ``[h, w]`` int64.

    The pixels between the same four cells are a block. Where the cells agree so do the pixels; the
    other blocks are computed, all channels of B of them at once.
    """
    side = maps.shape[2]
    winners = maps.max(0).indices  # several times faster than argmax
    step = (torch.arange(side, device=maps.device) + 1).clamp(max=side - 1)
    right, below = winners[:, step], winners[step]
    differ = (winners != right) | (winners != below) | (winners != right[step])
    differ &= (rows.counts(side) > 0)[:, None] & (columns.counts(side) > 0)
    labels = winners[rows.first][:, columns.first]
    y, x = differ.nonzero().T  # [B]
    if not len(y):
        return labels
    corners = torch.stack([r * side + c for r in (y, step[y]) for c in (x, step[x])], dim=1)
    table = maps.flatten(1).T.contiguous()  # [S S, C]
    scores = table.index_select(0, corners.flatten()).unflatten(0, corners.shape)  # [B, 4, C]
    (pixel_y, down), (pixel_x, across) = rows.of_cells(y, side), columns.of_cells(x, side)
    weights = (down[:, :, None, :, None] * across[:, None, :, None, :]).flatten(3).flatten(1, 2)
    chosen = (scores.mT @ weights).max(1).indices  # [B, ky kx]
    places = pixel_y[:, :, None] * labels.shape[1] + pixel_x[:, None, :]
    labels.view(-1)[places.flatten()] = chosen.flatten()
    return labels


def _reads(cells: int, pixels: int, device: torch.device) -> _Reads:
    """Bilinear, centers at half pixels, as torch's ``interpolate`` without aligned corners."""
    place = (torch.arange(pixels, device=device, dtype=torch.float32) + 0.5) * (cells / pixels)
    place = (place - 0.5).clamp(min=0)
    first = place.floor().clamp(max=cells - 1)
    second = (first + 1).clamp(max=cells - 1)
    return _Reads(first.long(), second.long(), place - first)


def _label_values(
    u: Tensor, v: Tensor, part: Tensor, rows: _Reads, columns: _Reads
) -> tuple[Tensor, Tensor]:
    """U and V of the channel of each pixel's part, 0 where it is 0; ``[h, w]`` float32 each.

    Args:
        u: ``[C, S, S]``.
        v: ``[C, S, S]``.
        part: ``[h, w]`` int64.
        rows: of h pixels.
        columns: of w pixels.
    """
    side, width = u.shape[2], part.shape[1]
    index = part.flatten().nonzero()[:, 0]
    row = torch.div(index, width, rounding_mode='floor')
    column = index - row * width
    start = part.flatten().index_select(0, index) * (side * side)
    tables = u.float().flatten(), v.float().flatten()
    totals = [table.new_zeros(len(index)) for table in tables]
    across, down = columns.weight.index_select(0, column), rows.weight.index_select(0, row)
    for line, share in ((rows.first, 1 - down), (rows.second, down)):
        from_line = start + line.index_select(0, row) * side
        for place, weight in ((columns.first, 1 - across), (columns.second, across)):
            cells = from_line + place.index_select(0, column)
            for table, total in zip(tables, totals, strict=True):
                total.addcmul_(table.index_select(0, cells), share * weight)
    found = []
    for total in totals:
        values = total.new_zeros(part.shape)
        values.view(-1).index_copy_(0, index, total)
        found.append(values)
    return found[0], found[1]
