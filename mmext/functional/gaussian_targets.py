"""What key point heat-maps are trained to be: one Gaussian per object, all objects at once.

Law and Deng, "CornerNet", 2018, section 3.2 (radius of a target); Zhou et al.,
"Objects as Points", 2019, sections 3 and 4; Duan et al., "CenterNet: Keypoint
Triplets", 2019, section 3. Heads of both CenterNets and of others stand on this.

Nearly all of the maps is 0 (of 16 images of 30 objects and 80 classes 99.8 %), so that
on a CPU a list of the other cells takes their place: writing 84 MB of zeros and reading
them again in the loss costs many times what the Gaussians do.

Shape legend: B images, C channels (classes or joints), ``H x W`` cells, N objects, M
cells within the windows of the objects. Coordinates are in cells.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

RadiusMode = Literal['official', 'exact']
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# a value in 0..1 is in these bits of a float32; what is above them says where it belongs
_VALUE_BITS = 30


class SparseMaps(NamedTuple):
    """Maps that are 0 but for some cells."""

    cells: Tensor
    """``[M]`` distinct, ascending index into the flattened maps."""
    values: Tensor
    """``[M]``"""
    shape: tuple[int, ...]
    """Of the maps."""

    def to_dense(self) -> Tensor:
        """The whole maps, ``[B, C, H, W]``."""
        maps = self.values.new_zeros(self.shape)
        maps.view(-1).index_copy_(0, self.cells, self.values)
        return maps


Heatmaps = Tensor | SparseMaps
"""Both have ``shape`` and ``to_dense()``."""


def gaussian_radii(
    heights: Tensor, widths: Tensor, min_overlap: float = 0.7, mode: RadiusMode = 'official'
) -> Tensor:
    """How far, in whole cells, a corner or center may be off at a given overlap.

    Three quadratic equations say by how much both corners of a box may move
    inwards, outwards, or one each, until the IoU falls to ``min_overlap``; the
    smallest solution counts (CornerNet, section 3.2).

    Args:
        heights: ``[...]``, of the boxes, in cells, at least 0.
        widths: ``[...]``, like ``heights``.
        min_overlap: IoU in (0, 1).
        mode: 'official' is what both CenterNets trained with: sizes rounded up
            and ``(b + sqrt(b^2 - 4ac)) / 2`` for all three equations, which is not
            their solution; radii come out about three times as large. 'exact'
            solves them; mmdet's head does with ``min_overlap=0.3``.

    Returns:
        int64 ``[...]``, the shape of ``heights``, at least 0.

    Raises:
        ValueError: for an unknown mode or an overlap outside (0, 1).
    """
    if mode not in ('official', 'exact'):
        raise ValueError(f"mode: expected 'official' or 'exact', got {mode!r}")
    if not 0 < min_overlap < 1:
        raise ValueError(f'min_overlap: expected a ratio in (0, 1), got {min_overlap}')
    # a radius is truncated, so that the last bit decides: double, the products in published order,
    # and only operations that IEEE 754 rounds the same everywhere
    h, w = heights.detach().double(), widths.detach().double()
    if mode == 'official':
        h, w = h.ceil(), w.ceil()
    total, rest = h + w, 1 - min_overlap
    product = rest * w * h
    # a, b, c of a r^2 - b r + c = 0 (third: a r^2 + b r + c with c < 0)
    equations = (
        (1.0, total, _quotient(w * h * rest, 1 + min_overlap)),  # one corner each way
        (4.0, 2 * total, product),  # inwards
        (4 * min_overlap, 2 * min_overlap * total, -product),  # outwards
    )
    s1, s2, s3 = _square_roots(torch.stack([b * b - 4 * a * c for a, b, c in equations]))
    (a1, b1, _), (a2, b2, _), (a3, b3, _) = equations
    if mode == 'official':
        radii = [(b1 + s1) / 2, (b2 + s2) / 2, (s3 - b3) / 2]
    else:
        radii = [(b1 - s1) / (2 * a1), (b2 - s2) / (2 * a2), _quotient(s3 - b3, 2 * a3)]
    return torch.stack(radii).amin(0).clamp(min=0).long()


def gaussian_heatmaps(
    shape: tuple[int, int, int, int],
    image_index: Tensor,
    channel_index: Tensor,
    cells_xy: Tensor,
    radii: Tensor,
    sigmas_per_diameter: float = 6.0,
) -> Heatmaps:
    """Draws one Gaussian per object; where they meet, the larger value counts.

    Args:
        shape: (B, C, H, W) of the result.
        image_index: ``[N]`` in ``0..B-1``.
        channel_index: ``[N]`` in ``0..C-1``.
        cells_xy: ``[N, 2]`` integer x, y of the peaks; an object outside the map
            leaves no trace.
        radii: ``[N]`` integers; further away along x or y the target is 0.
        sigmas_per_diameter: sigma is ``(2 * radius + 1)`` divided by this: 6, or 5
            for the centers of keypoint triplets.

    Returns:
        float32 ``[B, C, H, W]`` in 0..1, exactly 1 at every peak. All 0 without objects.
        On a CPU :class:`SparseMaps`, elsewhere a tensor, as the host would have to wait
        for the number of cells.
    """
    _, num_channels, height, width = shape
    planes = image_index * num_channels + channel_index
    xs, ys = cells_xy.unbind(1)
    inside = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
    # far outside, additions would overflow; a radius of -1 leaves no cell
    planes, xs, ys = (values.where(inside, 0) for values in (planes, xs, ys))
    radii = radii.where(inside, -1)
    exponents = -0.5 * (sigmas_per_diameter / (2 * radii + 1)) ** 2  # by squared distance
    objects = _Gaussians(planes, xs, ys, radii, exponents)
    return _listed(shape, objects) if xs.device.type == 'cpu' else _drawn(shape, objects)


def _square_roots(values: Tensor) -> Tensor:
    """Rounded correctly; torch's own on a CPU is a library's, wrong in the last bit at times."""
    if values.device.type != 'cpu':
        return values.sqrt()
    roots = torch.empty_like(values)
    with np.errstate(invalid='ignore'):  # of a box turned inside out
        np.sqrt(values.numpy(), out=roots.numpy())
    return roots


def _quotient(values: Tensor, divisor: float) -> Tensor:
    """Rounded correctly; on a GPU torch multiplies by the reciprocal of a plain number."""
    return values / values.new_full((), divisor)


class _Gaussians(NamedTuple):
    """One for each object, all fields ``[N]``."""

    planes: Tensor
    """In ``0..B*C-1``."""
    xs: Tensor
    """Of the peaks, on the map; the same for ``ys``."""
    ys: Tensor
    radii: Tensor
    """-1 leaves no trace."""
    exponents: Tensor
    """To be multiplied with squared distances."""


def _drawn(shape: tuple[int, int, int, int], objects: _Gaussians) -> Tensor:
    """Dense maps, by way of a whole map for every object."""

    def profiles(centers: Tensor, size: int) -> Tensor:
        """Along one axis, 0 beyond the radius: ``[N, size]``."""
        distances = torch.arange(size, device=centers.device) - centers[:, None]
        values = torch.exp(objects.exponents[:, None] * distances**2)
        return values * (distances.abs() <= objects.radii[:, None])

    batch, num_channels, height, width = shape
    gaussians = profiles(objects.ys, height)[:, :, None] * profiles(objects.xs, width)[:, None]
    heatmaps = gaussians.new_zeros(batch * num_channels, height * width)
    index = objects.planes[:, None].expand(-1, height * width)
    return heatmaps.scatter_reduce_(0, index, gaussians.flatten(1), 'amax').view(shape)


def _listed(shape: tuple[int, int, int, int], objects: _Gaussians) -> SparseMaps:
    """The same, as a list; of cells that several objects have the largest value is kept.

    In numpy: so small arrays cost torch more in calls, and in waiting for its other threads where
    the processor is busy, than in work.
    """
    height, width = shape[2:]
    planes, xs, ys, radii, exponents = (field.numpy() for field in objects)
    # a Gaussian is a product: one profile for both axes, object after object
    diameters = np.maximum(2 * radii + 1, 0)
    distances = _ranges(-radii, diameters)
    profiles = np.exp(np.repeat(exponents, diameters) * (distances * distances).astype(np.float32))
    peaks = diameters.cumsum() - diameters + radii  # of each object, among the profiles
    tops, lefts = np.maximum(ys - radii, 0), np.maximum(xs - radii, 0)
    counts = np.maximum(np.minimum(ys + radii, height - 1) - tops + 1, 0)
    widths = np.minimum(xs + radii, width - 1) - lefts + 1
    row_ys = _ranges(tops, counts)
    # rows ascend, so that only the cells of rows that overlap need to be sorted
    firsts = np.repeat(planes * (height * width) + lefts, counts) + row_ys * width
    order = firsts.argsort()
    firsts, lengths = firsts[order], np.repeat(widths, counts)[order]
    heights = profiles[(np.repeat(peaks - ys, counts) + row_ys)[order]]
    first_profiles = np.repeat(peaks - xs + lefts, counts)[order]

    cells = _ranges(firsts, lengths)
    values = profiles[_ranges(first_profiles, lengths)]
    values *= np.repeat(heights, lengths)
    rows = _overlapping(firsts, lengths)
    places = _ranges((lengths.cumsum() - lengths)[rows], lengths[rows])
    cells, values = _largest_of_each(cells, values, places)
    return SparseMaps(torch.from_numpy(cells), torch.from_numpy(values), shape)


def _overlapping(firsts: Integers, lengths: Integers) -> Integers:
    """Which of N ranges, ascending by their first number, share numbers with a neighbor."""
    overlaps = np.zeros(len(firsts) + 1, dtype=bool)
    ends = np.maximum.accumulate(firsts + lengths)
    np.less(firsts[1:], ends[:-1], out=overlaps[1:-1])
    return np.flatnonzero(overlaps[1:] | overlaps[:-1])


def _largest_of_each(cells: Integers, values: Floats, places: Integers) -> tuple[Integers, Floats]:
    """The largest of the values of each cell.

    Args:
        cells: ``[M]``, ascending and distinct but at ``places``; overwritten.
        values: ``[M]`` in 0..1; overwritten.
        places: ``[K]`` ascending, where cells that come twice are. Sorted among themselves, they
            fit in between the others.

    Returns:
        Cells, ascending and distinct, and their values.
    """
    if len(places) == 0:
        return cells, values
    # bits of such floats are ordered as they are: one sort, by cell and then by value
    bits = values.view(np.int32)
    keys = np.sort((cells[places] << _VALUE_BITS) | bits[places])
    sorted_cells = keys >> _VALUE_BITS
    cells[places] = sorted_cells
    bits[places] = keys & ((1 << _VALUE_BITS) - 1)
    (repeated,) = np.nonzero(sorted_cells[1:] == sorted_cells[:-1])
    kept = np.ones(len(cells), dtype=bool)
    kept[places[repeated]] = False
    return cells[kept], values[kept]


def _ranges(firsts: Integers, lengths: Integers) -> Integers:
    """The whole numbers of N ranges, one range after the other."""
    ends = lengths.cumsum()
    numbers = np.arange(ends[-1] if len(ends) else 0)
    numbers += np.repeat(firsts - ends + lengths, lengths)
    return numbers
