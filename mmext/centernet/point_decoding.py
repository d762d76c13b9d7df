"""From maps to detections, for objects as points (Zhou et al. 2019, section 4).

Shapes: B images, C classes, ``H x W`` cells, K detections.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.heatmaps import Peaks, find_peaks, gather_cells, halves


class PointDetections(NamedTuple):
    """The K best of each image, best first, in cells of the map."""

    boxes: Tensor
    """``[B, K, 4]`` x1 y1 x2 y2."""
    scores: Tensor
    """``[B, K]`` in 0..1."""
    labels: Tensor
    """``[B, K]``."""
    centers: Tensor
    """``[B, K, 2]`` x y."""
    peaks: Peaks


def decode_points(
    center_logits: Tensor, sizes: Tensor, offsets: Tensor | None, k: int, kernel_size: int = 3
) -> PointDetections:
    """Boxes around the K largest local maxima.

    Args:
        center_logits: ``[B, C, H, W]``.
        sizes: ``[B, 2, H, W]`` width and height in cells.
        offsets: ``[B, 2, H, W]`` in cells, or None: half a cell.
        k: K becomes ``min(k, C * H * W)``. Where there are fewer maxima, the
            rest has score 0.
        kernel_size: window of a local maximum in cells.
    """
    peaks = find_peaks(center_logits, k, kernel_size)
    corners = torch.stack([peaks.xs, peaks.ys], 2)  # [B, K, 2]
    centers = corners + (0.5 if offsets is None else gather_cells(offsets, peaks.cells))
    half = gather_cells(sizes, peaks.cells) / 2
    boxes = torch.cat([centers - half, centers + half], 2)
    scores = peaks.values.float().sigmoid()
    return PointDetections(boxes, scores, peaks.channels, centers, peaks)


def merge_flipped_scores(logits: Tensor, permutation: Tensor | None = None) -> Tensor:
    """Average the probabilities of images with those of their flipped images.

    Args:
        logits: ``[2B, C, H, W]``, the second half from flipped inputs.
        permutation: ``[C]``, the channel that each channel becomes in a flipped image; ``None``
            keeps all channels.

    Returns:
        Logits of the means, ``[B, C, H, W]``.
    """
    probs = logits.float().sigmoid()
    return average_flipped(probs, permutation).logit()


def average_flipped(maps: Tensor, permutation: Tensor | None = None) -> Tensor:
    """Average maps with those of the flipped images.

    Args:
        maps: ``[2B, C, H, W]``, the second half from flipped inputs.
        permutation: as for :func:`merge_flipped_scores`.

    Returns:
        ``[B, C, H, W]``.
    """
    plain, flipped = halves(maps)
    flipped = flipped.flip(3)
    if permutation is not None:
        flipped = flipped[:, permutation]
    return (plain + flipped) / 2


def frame_transform(
    meta: Mapping[str, Any], map_shape: tuple[int, int], rescale: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """How cells of the map become pixels: ``pixel = cell * scale + shift``.

    Args:
        meta: of the image: ``batch_input_shape``; ``border`` (top, bottom, left,
            right edge of the image, px) if it was set into a larger canvas; ``scale_factor`` if
            it was resized before.
        map_shape: H, W.
        rescale: to the original image instead of the network's input.

    Returns:
        scale and shift, each (x, y).

    Raises:
        InputError: no ``batch_input_shape``.
    """
    if 'batch_input_shape' not in meta:
        raise InputError(f'batch_input_shape: missing in the meta data, which has {sorted(meta)}')
    height, width = meta['batch_input_shape'][:2]
    scale = width / map_shape[1], height / map_shape[0]
    top, _, left, _ = meta.get('border', (0, 0, 0, 0))
    shift = -float(left), -float(top)
    if rescale:
        factor_x, factor_y = meta.get('scale_factor', (1, 1))[:2]
        scale = scale[0] / factor_x, scale[1] / factor_y
        shift = shift[0] / factor_x, shift[1] / factor_y
    return scale, shift


def to_pixels(
    points: Tensor, metas: Sequence[Mapping[str, Any]], map_shape: tuple[int, int], rescale: bool
) -> Tensor:
    """Points in cells, each image by its own :func:`frame_transform`.

    Args:
        points: ``[B, ..., 2m]``, x and y alternate.
        metas: of the B images.
        map_shape: H, W.
        rescale: to the original images.
    """
    frames = [frame_transform(meta, map_shape, rescale) for meta in metas]
    table = torch.tensor(frames, dtype=torch.float32, device=points.device)  # [B, 2, 2]
    table = table.view(-1, 2, *([1] * (points.dim() - 2)), 2)
    pairs = points.unflatten(-1, (-1, 2))  # [B, ..., m, 2]
    return (pairs * table[:, 0, ..., None, :] + table[:, 1, ..., None, :]).flatten(-2)
