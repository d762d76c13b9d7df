"""Key points on regions: one cell of a small map each, read from the map at the region's own size.

He et al., "Mask R-CNN", ICCV 2017, section 5, in the form of Detectron and detectron2. Decoding
resizes the map of each point to the region (bicubic) and takes the largest pixel. The released code
resizes whole maps; here a resize is two small matrices, and only pixels around the largest cell are
computed where a bound shows that no other one can be larger. Results are the same.

Shapes: R regions, K points, S cells of a side. Points are x, y in px.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_SHARPNESS = -0.75  # of the cubic kernel, torch's
_REACHES = (5, 9)  # cells around the largest one, tried in turn
# the kernel's positive weights of a place sum to at most 1.1875, the negative ones to -.1875; along
# both axes a value exceeds the largest cell by no more than this share of the cells' range
_OVERSHOOT = 0.1875 * (2 + 2 * 0.1875)
_SLACK = 1e-4  # of rounding, in logits
_CHUNK = 16  # regions at once: the pixels around the peaks of large ones take memory


def keypoint_cells(
    points: Tensor, visible: Tensor, rois_xyxy: Tensor, side: int = 56
) -> tuple[Tensor, Tensor]:
    """The cell of each point on the map of its region.

    Args:
        points: ``[R, K, 2]`` px.
        visible: ``[R, K]``, 0 = not annotated.
        rois_xyxy: ``[R, 4]`` px.
        side: S.

    Returns:
        Cells ``[R, K]`` int64, ``y * S + x``, and which count ``[R, K]`` bool: annotated and
        inside, borders included. The cell of the others is 0.
    """
    low, high = rois_xyxy[:, None, :2], rois_xyxy[:, None, 2:]
    scaled = (points - low) * (side / (high - low))
    cells = scaled.floor()
    cells = torch.where(points == high, side - 1.0, cells)
    counts = ((cells >= 0) & (cells < side)).all(-1) & (visible > 0)  # NaN is nowhere
    cells = cells.where(counts[..., None], 0).long()
    return cells[..., 1] * side + cells[..., 0], counts


def cell_cross_entropy(logits: Tensor, cells: Tensor, counts: Tensor) -> Tensor:
    """Cross entropy over the cells of maps, summed over the points that count.

    Args:
        logits: ``[R, K, S, S]``.
        cells: ``[R, K]``, see :func:`keypoint_cells`.
        counts: ``[R, K]`` bool.

    Returns:
        A scalar; without a point that counts 0, whose gradient is 0 for all logits.
    """
    if not bool(counts.any()):
        return logits.sum() * 0
    losses = F.cross_entropy(logits.flatten(2)[counts].float(), cells[counts], reduction='sum')
    return losses


def decode_roi_keypoints(logits: Tensor, rois_xyxy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The place of each map's maximum after a bicubic resize to its region.

    Args:
        logits: ``[R, K, S, S]``, any floating dtype.
        rois_xyxy: ``[R, 4]`` px; sides below 1 count as 1.

    Returns:
        Points ``[R, K, 2]`` px, logits there ``[R, K]``, and scores ``[R, K]``: the exponential of
        the logit over the sum of those of the map's cells, as released; it can exceed 1.
    """
    maps, rois = logits.float(), rois_xyxy.float()
    shape = maps.shape[:2]
    sides = (rois[:, 2:] - rois[:, :2]).clamp(min=1)
    if not maps.numel():
        return rois.new_zeros((*shape, 2)), rois.new_zeros(shape), rois.new_zeros(shape)
    peaks = maps.flatten(2).argmax(2)  # [R, K]
    side = maps.shape[3]
    near = torch.stack((peaks % side, peaks // side), dim=-1)  # [R, K, 2]
    whole = sides.detach().ceil()
    parts = [
        _near_peaks(*chunk)
        for chunk in zip(maps.split(_CHUNK), near.split(_CHUNK), whole.split(_CHUNK), strict=True)
    ]
    pixels, heights = (torch.cat(values) for values in zip(*parts, strict=True))
    unsure = heights < _bounds_far(maps, peaks) + _SLACK
    for number in unsure.any(1).nonzero()[:, 0].tolist():
        index = unsure[number].nonzero()[:, 0]
        pixels[number, index], heights[number, index] = _largest_pixel(
            maps[number, index], near[number, index], whole[number].long().tolist()
        )
    points = (pixels + 0.5) * (sides / whole)[:, None] + rois[:, None, :2]
    scores = (heights - maps.flatten(2).logsumexp(2)).exp()
    return points, heights, scores


def resize_matrix(cells: int, pixels: int, like: Tensor) -> Tensor:
    """Bicubic resize along one axis, half-pixel centers, edges repeated: ``[pixels, cells]``.

    Args:
        cells: length before.
        pixels: length after.
        like: a tensor of the type and on the device of the result.
    """
    places = torch.arange(pixels, device=like.device, dtype=torch.float32)
    places = (places + 0.5) * (cells / pixels) - 0.5
    first = places.floor()
    steps = torch.arange(-1.0, 3.0, device=like.device)
    weights = _cubic(((places - first)[:, None] - steps).abs_())
    index = (first[:, None] + steps).clamp_(0, cells - 1).long()
    return torch.zeros(pixels, cells, device=like.device).scatter_add_(1, index, weights)


def _cubic(distances: Tensor) -> Tensor:
    """The weights of neighbors at distances of 0 to 2 cells."""
    a, d = _SHARPNESS, distances
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, far)


def _near_peaks(maps: Tensor, near: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of the pixels near each map's largest cell, all maps at once.

    Args:
        maps: ``[R, K, S, S]``.
        near: x, y of the largest cells, ``[R, K, 2]``.
        sizes: width and height of the regions, whole px, ``[R, 2]``.

    Returns:
        x, y ``[R, K, 2]`` and values ``[R, K]``.
    """
    side, length = maps.shape[3], 2 * _REACHES[0] + 4  # cells that these pixels see
    low = near - _REACHES[0] - 2
    steps = torch.arange(length, device=maps.device)
    xs, ys = ((low[..., axis, None] + steps).clamp(0, side - 1) for axis in range(2))  # [R, K, P]
    index = (ys[..., :, None] * side + xs[..., None, :]).flatten(2)
    patches = maps.flatten(2).gather(2, index).unflatten(2, (length, length))
    scales = (sizes / side)[:, None]  # [R, 1, 2]
    first = ((near - _REACHES[0] + 0.5) * scales - 0.5).floor()
    first = torch.minimum(first.clamp(min=0), sizes[:, None] - 1)  # [R, K, 2]
    count = int(2 * _REACHES[0] * float(scales.max())) + 3
    numbers = torch.arange(count, dtype=maps.dtype, device=maps.device)
    pixels = torch.minimum(first[..., None] + numbers, sizes[:, None, :, None] - 1)
    places = (pixels + 0.5) / scales[..., None] - 0.5 - low[..., None]  # [R, K, 2, n] in the patch
    # a place's weights of all cells of the patch; of cells beyond two it is 0
    weights = _cubic((places[..., None] - steps).abs().clamp_(max=2))  # [R, K, 2, n, P]
    resized = weights[:, :, 1] @ patches @ weights[:, :, 0].mT  # [R, K, ny, nx]
    values, best = resized.flatten(2).max(2)
    rows, columns = best // count, best % count
    chosen = torch.stack((columns, rows), dim=-1)[..., None]  # [R, K, 2, 1]
    return pixels.gather(3, chosen)[..., 0], values


def _bounds_far(maps: Tensor, peaks: Tensor) -> Tensor:
    """What no pixel far from the peak exceeds, ``[R, K]``: a coarse bound in two passes.

    A pixel out of reach sees no cell nearer than the reach less one.
    """
    side, gap = maps.shape[3], _REACHES[0] - 2
    steps = torch.arange(-gap, gap + 1, device=maps.device)
    xs = (peaks[..., None] % side + steps).clamp(0, side - 1)
    ys = (peaks[..., None] // side + steps).clamp(0, side - 1)
    index = (ys[..., :, None] * side + xs[..., None, :]).flatten(2)
    flat = maps.flatten(2)
    far = flat.scatter(2, index, -torch.inf).amax(2)
    return far + _OVERSHOOT * (far - flat.amin(2))


def _largest_pixel(maps: Tensor, cells: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest pixel of each resized map of a region.

    Args:
        maps: ``[K, S, S]``.
        cells: x, y of the largest cells, ``[K, 2]``.
        size: width and height of the region, px.

    Returns:
        x, y ``[K, 2]`` and values ``[K]``.
    """
    along_x, along_y = (resize_matrix(maps.shape[2], pixels, maps) for pixels in size)
    places, values = _around(maps, cells, _REACHES[0], along_x, along_y)
    bounds = _bounds(maps)
    index = (values < _elsewhere(bounds, cells, _REACHES[0]) + _SLACK).nonzero()[:, 0]
    for reach in _REACHES[1:]:
        if not len(index):
            return places, values
        places[index], values[index] = _around(maps[index], cells[index], reach, along_x, along_y)
        limit = _elsewhere(bounds[index], cells[index], reach)
        index = index[values[index] < limit + _SLACK]
    if len(index):
        places[index], values[index] = _everywhere(maps[index], along_x, along_y)
    return places, values


def _bounds(maps: Tensor) -> Tensor:
    """What no pixel between the cells b and b + 1 exceeds, ``[K, S + 1, S + 1]``, b from -1.

    It sees the cells b - 1 to b + 2.
    """
    padded = F.pad(maps, (2, 2, 2, 2), mode='replicate')
    largest, smallest = _of_windows(padded, torch.maximum), _of_windows(padded, torch.minimum)
    return largest + _OVERSHOOT * (largest - smallest)


def _of_windows(maps: Tensor, larger: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The extremes of windows of 4 x 4 cells, ``[K, S - 3, S - 3]``; faster than pooling."""
    for axis in (1, 2):
        pairs = larger(*(maps.narrow(axis, step, maps.shape[axis] - 1) for step in range(2)))
        maps = larger(*(pairs.narrow(axis, step, pairs.shape[axis] - 2) for step in (0, 2)))
    return maps


def _elsewhere(bounds: Tensor, cells: Tensor, reach: int) -> Tensor:
    """The largest bound out of reach of a cell of each map, ``[K]``."""
    places = torch.arange(-1, bounds.shape[2] - 1, device=bounds.device)
    within = (places >= cells[..., None] - reach) & (places < cells[..., None] + reach)
    inside = within[:, 1, :, None] & within[:, 0, None, :]  # [K, S + 1, S + 1]
    return bounds.masked_fill(inside, -torch.inf).flatten(1).amax(1)


def _around(
    maps: Tensor, cells: Tensor, reach: int, along_x: Tensor, along_y: Tensor
) -> tuple[Tensor, Tensor]:
    """The largest of the pixels near a cell of each map: x, y ``[K, 2]`` and values ``[K]``."""
    windows = [
        _window(cells[:, axis], reach, matrix) for axis, matrix in enumerate((along_x, along_y))
    ]  # [K, n] each
    resized = along_y[windows[1]] @ maps @ along_x[windows[0]].mT  # [K, ny, nx]
    values, index = resized.flatten(1).max(1)
    rows, columns = index // resized.shape[2], index % resized.shape[2]
    xs, ys = (w.gather(1, i[:, None])[:, 0] for w, i in zip(windows, (columns, rows), strict=True))
    return torch.stack((xs, ys), dim=1).float(), values


def _window(cells: Tensor, reach: int, matrix: Tensor) -> Tensor:
    """The pixels within reach of the center of each cell, ``[K, n]``, repeated at the end."""
    pixels, count = matrix.shape
    scale = pixels / count
    first = ((cells - reach + 0.5) * scale - 0.5).floor().long().clamp(0, pixels - 1)
    length = min(pixels, int(2 * reach * scale) + 3)
    steps = torch.arange(length, device=cells.device)
    return (first[:, None] + steps).clamp(max=pixels - 1)


def _everywhere(maps: Tensor, along_x: Tensor, along_y: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of all pixels of each map: x, y ``[K, 2]`` and values ``[K]``."""
    resized = along_y @ maps @ along_x.T
    values, index = resized.flatten(1).max(1)
    width = resized.shape[2]
    return torch.stack((index % width, index // width), dim=1).float(), values
