"""Training targets of keypoint triplets: two corners and a center for every object.

Duan et al., "CenterNet: Keypoint Triplets", ICCV 2019, sections 3.1 and 4.1; the corners are those
of Law and Deng, "CornerNet", 2018, section 3.2.

Shapes: B images, C classes, M objects (padded: the most that an image has), ``H x W`` cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmext.centernet.point_targets import check_labels
from mmext.functional.gaussian_targets import (
    Heatmaps,
    RadiusMode,
    gaussian_heatmaps,
    gaussian_radii,
)

# sigma of a Gaussian is its diameter divided by this; as released
CORNER_SIGMAS, CENTER_SIGMAS = 6.0, 5.0


class KeypointTargets(NamedTuple):
    """What one kind of key point should be."""

    heatmap: Heatmaps
    """``[B, C, H, W]`` in 0..1, 1 at the key points."""
    cells: Tensor
    """``[B, M]`` index ``y * W + x`` of each object's key point; 0 where there is no object."""
    offsets: Tensor
    """``[B, M, 2]`` where in its cell the key point is, x and y in 0..1."""


class TripletTargets(NamedTuple):
    """Targets of a batch."""

    top_left: KeypointTargets
    bottom_right: KeypointTargets
    center: KeypointTargets
    is_object: Tensor
    """``[B, M]`` bool, False where an image has fewer objects."""


def triplet_targets(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    num_classes: int,
    map_shape: tuple[int, int],
    image_shape: tuple[int, int],
    radius_mode: RadiusMode = 'official',
    min_overlap: float = 0.7,
) -> TripletTargets:
    """Heat-maps, cells and offsets of all objects of a batch.

    Args:
        boxes: per image ``[n, 4]``, x1 y1 x2 y2 in pixels of the network's input. What
            lies outside is cut off; a box of which nothing remains, or with a coordinate
            that is not a number, is left out.
        labels: per image ``[n]``, 0..C-1.
        num_classes: C.
        map_shape: H, W.
        image_shape: height and width of the padded input, px.
        radius_mode: see :func:`mmext.functional.gaussian_targets.gaussian_radii`.
        min_overlap: see :func:`mmext.functional.gaussian_targets.gaussian_radii`.

    Raises:
        ValueError: labels that :func:`~mmext.centernet.point_targets.check_labels` refuses.
    """
    check_labels(labels, boxes, num_classes)
    padded_boxes = pad_sequence([b.float() for b in boxes], batch_first=True)  # [B, M, 4]
    padded_labels = pad_sequence(list(labels), batch_first=True)
    height, width = map_shape
    ratio_xy = padded_boxes.new_tensor([width / image_shape[1], height / image_shape[0]])
    limits = ratio_xy.new_tensor([width, height])
    corners = padded_boxes.unflatten(2, (2, 2)) * ratio_xy  # [B, M, 2 corners, xy]
    top_left, bottom_right = corners.clamp(min=0).minimum(limits).unbind(2)
    sizes = bottom_right - top_left
    is_object = (sizes > 0).all(2)  # padding has no size
    radii = gaussian_radii(sizes[..., 1], sizes[..., 0], min_overlap, radius_mode)
    shape = (len(boxes), num_classes, height, width)

    def targets(points_xy: Tensor, sigmas: float) -> KeypointTargets:
        return _keypoint_targets(points_xy, padded_labels, radii, is_object, shape, sigmas)

    return TripletTargets(
        targets(top_left, CORNER_SIGMAS),
        targets(bottom_right, CORNER_SIGMAS),
        targets((top_left + bottom_right) / 2, CENTER_SIGMAS),
        is_object,
    )


def _keypoint_targets(
    points_xy: Tensor,
    labels: Tensor,
    radii: Tensor,
    is_object: Tensor,
    shape: tuple[int, int, int, int],
    sigmas_per_diameter: float,
) -> KeypointTargets:
    """Targets of one kind of key point at ``points_xy`` ``[B, M, 2]``, in cells."""
    batch, _, height, width = shape
    # a corner on the border of the map belongs to the last cell
    cells_xy = points_xy.long().minimum(labels.new_tensor([width - 1, height - 1]))
    offsets = points_xy - cells_xy
    images = torch.arange(batch, device=labels.device)[:, None].expand_as(labels)
    drawn_xy = cells_xy.masked_fill(~is_object[..., None], -1)  # outside: leaves no trace
    heatmap = gaussian_heatmaps(
        shape,
        images.reshape(-1),
        labels.reshape(-1),
        drawn_xy.reshape(-1, 2),
        radii.reshape(-1),
        sigmas_per_diameter,
    )
    cells = (cells_xy[..., 1] * width + cells_xy[..., 0]).masked_fill(~is_object, 0)
    return KeypointTargets(heatmap, cells, offsets.masked_fill(~is_object[..., None], 0))
