"""Training targets of objects as points: a center, a size, a place within a cell.

Zhou et al., "Objects as Points", 2019, sections 3 and 4.

Sizes and offsets are kept per object, not as maps: two objects in one cell both
have theirs, and the losses touch N cells instead of all. Objects without area, with
their center outside or with a coordinate that is not a number stay in the lists with
weight 0, so that nothing has to be counted on the device.

Shapes: B images, C classes, N objects of all images, ``H x W`` cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.gaussian_targets import (
    Heatmaps,
    RadiusMode,
    gaussian_heatmaps,
    gaussian_radii,
)


class PointTargets(NamedTuple):
    """Targets of a batch, see the module's shape legend."""

    heatmap: Heatmaps
    """``[B, C, H, W]`` in 0..1, 1 at the centers."""
    image_index: Tensor
    """``[N]`` image of each object."""
    centers: Tensor
    """``[N, 2]`` integer x, y of the cell, clamped to the map."""
    radii: Tensor
    """``[N]`` cells."""
    sizes: Tensor
    """``[N, 2]`` width and height in cells."""
    offsets: Tensor
    """``[N, 2]`` where in its cell the center is, x and y in 0..1."""
    weights: Tensor
    """``[N]`` 1 or, for objects that cannot be learned, 0."""


def point_targets(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    num_classes: int,
    map_shape: tuple[int, int],
    image_shape: tuple[int, int],
    radius_mode: RadiusMode = 'official',
    min_overlap: float = 0.7,
) -> PointTargets:
    """Targets of all objects of a batch at once.

    Args:
        boxes: per image ``[n, 4]``, x1 y1 x2 y2 in pixels of the network's input; cut at
            its border.
        labels: per image ``[n]``, 0..C-1.
        num_classes: C.
        map_shape: H, W.
        image_shape: height and width of the padded input, px.
        radius_mode: see :func:`~mmext.functional.gaussian_targets.gaussian_radii`.
        min_overlap: see :func:`~mmext.functional.gaussian_targets.gaussian_radii`.

    Raises:
        InputError: no image, or labels that :func:`check_labels` refuses.
    """
    image_index = image_indices(boxes)
    height, width = map_shape
    all_boxes, all_labels = torch.cat([*boxes]).float(), torch.cat([*labels])
    check_labels(labels, boxes, num_classes)
    scale_x, scale_y = width / image_shape[1], height / image_shape[0]
    x1, x2 = (all_boxes[:, 0::2] * scale_x).clamp(0, width).unbind(1)
    y1, y2 = (all_boxes[:, 1::2] * scale_y).clamp(0, height).unbind(1)
    sizes = torch.stack([x2 - x1, y2 - y1], 1)  # [N, 2]
    points = torch.stack([x1 + x2, y1 + y2], 1) / 2  # [N, 2]
    cells = points.long()
    # what is cut away whole lies on the border without area
    is_object = (sizes > 0).all(1)
    radii = gaussian_radii(sizes[:, 1], sizes[:, 0], min_overlap, radius_mode)
    heatmap = gaussian_heatmaps(
        (len(boxes), num_classes, height, width),
        image_index,
        all_labels,
        cells.where(is_object[:, None], -1),
        radii,
    )
    xs, ys = cells.where(is_object[:, None], 0).unbind(1)
    centers = torch.stack([xs.clamp(0, width - 1), ys.clamp(0, height - 1)], 1)
    # a weight of 0 would not make up for what is not a number
    sizes, offsets = (values.where(is_object[:, None], 0) for values in (sizes, points - centers))
    return PointTargets(heatmap, image_index, centers, radii, sizes, offsets, is_object.float())


def check_labels(labels: Sequence[Tensor], boxes: Sequence[Tensor], num_classes: int) -> None:
    """Refuse labels that would be drawn as another class or onto another image.

    Args:
        labels: per image ``[n]``.
        boxes: per image ``[n, 4]``.
        num_classes: C.

    Raises:
        InputError: not as many labels as boxes in an image or (CPU only, as a check on a GPU
            would wait for it) a label out of range.
    """
    for image_labels, image_boxes in zip(labels, boxes, strict=True):
        if len(image_labels) != len(image_boxes):
            raise InputError(
                f'labels: expected {len(image_boxes)} as boxes, got {len(image_labels)}'
            )
    everything = torch.cat([*labels])
    if everything.device.type == 'cpu' and len(everything):
        lowest, highest = int(everything.min()), int(everything.max())
        if lowest < 0 or highest >= num_classes:
            wrong = lowest if lowest < 0 else highest
            raise InputError(f'labels: expected 0..{num_classes - 1}, got {wrong}')


def image_indices(per_image: Sequence[Tensor]) -> Tensor:
    """The image of each object, ``[N]``, once the lists of all images are concatenated.

    Args:
        per_image: tensors ``[n, ...]`` with one row per object.

    Raises:
        InputError: no image.
    """
    if not per_image:
        raise InputError('expected at least one image, got none')
    # from the lengths, which the host knows: nothing waits for the device
    counts = torch.tensor([len(rows) for rows in per_image])
    return torch.repeat_interleave(counts).to(per_image[0].device)


def values_at(maps: Tensor, image_index: Tensor, centers: Tensor) -> Tensor:
    """The values of maps ``[B, D, H, W]`` at the cells of the objects, ``[N, D]``.

    Args:
        maps: ``[B, D, H, W]``.
        image_index: ``[N]``, the image of each object.
        centers: ``[N, 2]``, integer x, y of its cell.
    """
    return maps.permute(0, 2, 3, 1)[image_index, centers[:, 1], centers[:, 0]]


def mean_absolute_error(predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean of the absolute errors that have weight 1.

    Args:
        predicted: ``[N, ...]``.
        targets: like ``predicted``.
        weights: ``[N, ...]`` 0 or 1, broadcast over the last axis.

    Returns:
        Scalar, 0 with a zero gradient where nothing has weight.
    """
    spread = weights[..., None].expand_as(targets)
    # 1e-4 as released
    return ((predicted - targets).abs() * spread).sum() / (spread.sum() + 1e-4)
