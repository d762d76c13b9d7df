"""From heat-maps to detections: corners in pairs, confirmed by a center.

Duan et al., "CenterNet: Keypoint Triplets", ICCV 2019, section 3.1 and the released test protocol:
every top-left corner is paired with every bottom-right corner of its class and tag; a box is kept
if the middle of it holds a center of its class, which then shares in its score. All images of a
batch at once.

Shapes: B images, C classes, ``H x W`` cells, K key points of a kind, D boxes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmext.functional.heatmaps import find_peaks, gather_cells, halves
from mmext.functional.soft_nms import soft_nms

# section 3.1: smaller objects have a larger middle; the side of a square box, px of the image
MIDDLE_SCALE_PX = 150
SMALL_MIDDLE_N, LARGE_MIDDLE_N = 3, 5

# released test code: a box may stick out of the image by less than this
BORDER_SLACK_PX = 5


@dataclass(frozen=True)
class TripletTestSettings:
    """The numbers of the released test configuration.

    Attributes:
        top_k: key points of each kind that are taken from an image.
        max_tag_distance: corners of one object have tags no further apart.
        max_pairs: boxes that are taken on from an image.
        max_per_img: detections of an image; all if it is not positive.
        sigma: of the Gaussian of soft-NMS.
        min_score: boxes that decay below are dropped.
        flip: predict from each image and its flipped image together.
    """

    top_k: int = 70
    max_tag_distance: float = 0.5
    max_pairs: int = 1000
    max_per_img: int = 100
    sigma: float = 0.5
    min_score: float = 0.001
    flip: bool = True


class TripletMaps(NamedTuple):
    """The maps that the network predicts for a batch."""

    top_left_heat: Tensor
    """``[B, C, H, W]`` logits; the same for the other two."""
    bottom_right_heat: Tensor
    center_heat: Tensor
    top_left_tag: Tensor
    """``[B, 1, H, W]``"""
    bottom_right_tag: Tensor
    top_left_offset: Tensor
    """``[B, 2, H, W]`` x, y in cells; the same for the other two."""
    bottom_right_offset: Tensor
    center_offset: Tensor


class Keypoints(NamedTuple):
    """Key points of one kind, best first."""

    points_xy: Tensor
    """``[B, K, 2]``"""
    scores: Tensor
    """``[B, K]`` in 0..1, -inf where an image has fewer"""
    labels: Tensor
    """``[B, K]``"""


class CornerPairs(NamedTuple):
    """Boxes that no center has confirmed yet."""

    boxes: Tensor
    """``[B, D, 4]`` x1 y1 x2 y2"""
    scores: Tensor
    """``[B, D]`` mean of both corners' scores; -inf for what is no box"""
    corner_scores: Tensor
    """``[B, D, 2]``"""
    labels: Tensor
    """``[B, D]``"""


class ImageWindows(NamedTuple):
    """Where each image of a batch is in the network's input."""

    origins_xy: Tensor
    """``[B, 2]`` its upper left corner, px of the input"""
    sizes_xy: Tensor
    """``[B, 2]`` its width and height, px of the input"""
    scales_xy: Tensor
    """``[B, 2]`` px of the input for a pixel of the image"""


Views = ImageWindows  # its name until version 0.2


class Detections(NamedTuple):
    """The best boxes of each image, best first."""

    boxes: Tensor
    """``[B, M, 4]``"""
    scores: Tensor
    """``[B, M]``, -inf where an image has fewer"""
    labels: Tensor
    """``[B, M]``"""
    centers_xy: Tensor
    """``[B, M, 2]`` the key point that confirmed each box"""


def decode_maps(
    maps: TripletMaps,
    settings: TripletTestSettings,
    flipped: bool = False,
    fixed_number: bool = False,
) -> tuple[CornerPairs, Keypoints]:
    """Boxes and centers, in cells.

    Args:
        maps: of B images or, if ``flipped``, of B images followed by their flipped images.
        settings: how many key points and pairs are taken.
        flipped: see ``maps``. The results of a flipped image are flipped back and follow those of
            its image.
        fixed_number: see :func:`pair_corners`.
    """
    maps = TripletMaps(*(m.float() for m in maps))
    top_left, cells1 = find_keypoints(maps.top_left_heat, maps.top_left_offset, settings.top_k)
    bottom_right, cells2 = find_keypoints(
        maps.bottom_right_heat, maps.bottom_right_offset, settings.top_k
    )
    tags1 = gather_cells(maps.top_left_tag, cells1)[..., 0]
    tags2 = gather_cells(maps.bottom_right_tag, cells2)[..., 0]
    pairs = pair_corners(top_left, bottom_right, tags1, tags2, settings, fixed_number)
    centers, _ = find_keypoints(maps.center_heat, maps.center_offset, settings.top_k)
    if not flipped:
        return pairs, centers
    width = maps.center_heat.shape[3]
    origin = pairs.boxes.new_tensor([1, 0, 1, 0]) * width
    boxes, flipped_boxes = halves(pairs.boxes)
    signs = boxes.new_tensor([1, -1, 1, -1])
    flipped_boxes = (origin - flipped_boxes * signs)[..., [2, 1, 0, 3]]
    points, flipped_points = halves(centers.points_xy)
    flipped_points = origin[:2] - flipped_points * signs[:2]
    return (
        CornerPairs(torch.cat((boxes, flipped_boxes), 1), *(_side_by_side(p) for p in pairs[1:])),
        Keypoints(torch.cat((points, flipped_points), 1), *(_side_by_side(c) for c in centers[1:])),
    )


def find_keypoints(heat_logits: Tensor, offsets: Tensor, top_k: int) -> tuple[Keypoints, Tensor]:
    """The best local maxima, and the cells ``[B, K]`` they are in.

    Args:
        heat_logits: ``[B, C, H, W]``.
        offsets: ``[B, 2, H, W]``, added to the place of the cell.
        top_k: how many.
    """
    peaks = find_peaks(heat_logits, top_k)
    points_xy = torch.stack((peaks.xs, peaks.ys), 2) + gather_cells(offsets, peaks.cells)
    is_peak = peaks.values > -torch.inf
    scores = peaks.values.sigmoid().where(is_peak, -torch.inf)
    return Keypoints(points_xy, scores, peaks.channels), peaks.cells


def pair_corners(
    top_left: Keypoints,
    bottom_right: Keypoints,
    top_left_tags: Tensor,
    bottom_right_tags: Tensor,
    settings: TripletTestSettings,
    fixed_number: bool = False,
) -> CornerPairs:
    """The best of all ``K x K`` pairs of corners that agree.

    Args:
        top_left: corners.
        bottom_right: corners.
        top_left_tags: ``[B, K]``.
        bottom_right_tags: ``[B, K]``.
        settings: ``max_tag_distance`` and ``max_pairs``.
        fixed_number: return ``max_pairs`` of them, also where fewer agree, as a graph must.
    """
    first, second = top_left.points_xy[:, :, None], bottom_right.points_xy[:, None]
    distance = (top_left_tags[:, :, None] - bottom_right_tags[:, None]).abs()
    agree = (
        (top_left.labels[:, :, None] == bottom_right.labels[:, None])
        & (distance <= settings.max_tag_distance)
        & (second >= first).all(3)
    )  # [B, K, K]
    scores = (top_left.scores[:, :, None] + bottom_right.scores[:, None]) / 2
    scores = scores.masked_fill(~agree, -torch.inf).flatten(1)
    most = min(settings.max_pairs, scores.shape[1])
    # few pairs agree; a GPU would have to wait for the count
    if agree.device.type == 'cpu' and not fixed_number:
        most = min(most, int(agree.flatten(1).sum(1).amax()) if len(agree) else 0)
    scores, pair_index = scores.topk(most, dim=1)  # [B, D]
    count = bottom_right.scores.shape[1]
    top_left_index, bottom_right_index = pair_index // count, pair_index % count
    corners = (
        k.points_xy.gather(1, i[..., None].expand(-1, -1, 2))
        for k, i in ((top_left, top_left_index), (bottom_right, bottom_right_index))
    )
    corner_scores = (
        top_left.scores.gather(1, top_left_index),
        bottom_right.scores.gather(1, bottom_right_index),
    )
    labels = top_left.labels.gather(1, top_left_index)
    return CornerPairs(
        torch.cat(list(corners), 2), scores, torch.stack(corner_scores, 2).clamp(min=0), labels
    )


def to_image_frame(
    pairs: CornerPairs, centers: Keypoints, windows: ImageWindows, cell_size_px: tuple[float, float]
) -> tuple[CornerPairs, Keypoints]:
    """From cells to pixels of the images, cut off at their borders.

    Args:
        pairs: in cells; those that stick out of the image too far are dropped.
        centers: in cells.
        windows: of the images.
        cell_size_px: width and height of a cell in pixels of the network's input.
    """
    cell = pairs.boxes.new_tensor(cell_size_px)
    origins, sizes, scales = (part[:, None] for part in windows)  # [B, 1, 2]
    corners = pairs.boxes.unflatten(2, (2, 2)) * cell - origins[:, :, None]  # [B, D, 2, xy]
    is_out = (corners[:, :, 0] <= -BORDER_SLACK_PX) | (corners[:, :, 1] >= sizes + BORDER_SLACK_PX)
    scores = pairs.scores.masked_fill(is_out.any(2), -torch.inf)
    limits = sizes[:, :, None]
    boxes = (corners.clamp(min=0).minimum(limits) / scales[:, :, None]).flatten(2)
    points = (centers.points_xy * cell - origins).clamp(min=0).minimum(sizes) / scales
    return pairs._replace(boxes=boxes, scores=scores), centers._replace(points_xy=points)


def confirm_pairs(pairs: CornerPairs, centers: Keypoints) -> tuple[Tensor, Tensor]:
    """Which boxes have a center of their class in the middle, and their scores then.

    Args:
        pairs: in pixels of the image.
        centers: in pixels of the image. The first that is in the middle counts, not the best.

    Returns:
        Scores ``[B, D]``, the mean of the three key points, -inf without center; and the
        index ``[B, D]`` of the center.
    """
    top_left, bottom_right = pairs.boxes.split(2, dim=2)
    area = (bottom_right - top_left).prod(2)
    is_small = area <= MIDDLE_SCALE_PX**2
    n = torch.where(is_small, float(SMALL_MIDDLE_N), float(LARGE_MIDDLE_N))[..., None]
    # the middle n-th of the box
    first = ((n + 1) * top_left + (n - 1) * bottom_right) / (2 * n)
    last = ((n - 1) * top_left + (n + 1) * bottom_right) / (2 * n)
    points = centers.points_xy[:, None]  # [B, 1, K, 2]
    is_middle = ((points > first[:, :, None]) & (points < last[:, :, None])).all(3)
    confirms = is_middle & (pairs.labels[:, :, None] == centers.labels[:, None])  # [B, D, K]
    confirms &= (centers.scores > -torch.inf)[:, None]
    is_confirmed, center_index = confirms.int().max(2)  # the first of equals
    scores = (2 * pairs.scores + centers.scores.gather(1, center_index)) / 3
    return scores.masked_fill(is_confirmed == 0, -torch.inf), center_index


def detect(
    pairs: CornerPairs,
    centers: Keypoints,
    settings: TripletTestSettings,
    merge_exponent: float | None = None,
) -> Detections:
    """Confirmed boxes after soft-NMS.

    Args:
        pairs: in pixels of the image.
        centers: in pixels of the image.
        settings: of soft-NMS.
        merge_exponent: of soft-NMS that merges the boxes it suppresses, for several scales.
    """
    scores, center_index = confirm_pairs(pairs, centers)
    order = scores.argsort(dim=1, descending=True, stable=True)
    if scores.device.type == 'cpu':  # a GPU would have to wait for the count
        order = order[:, : int((scores > -torch.inf).sum(1).amax()) if len(order) else 0]
    boxes = _take(pairs.boxes, order)
    kept = soft_nms(
        boxes,
        scores.gather(1, order),
        pairs.labels.gather(1, order),
        settings.max_per_img,
        sigma=settings.sigma,
        min_score=settings.min_score,
        extent_px=1.0,
        corner_weights=None if merge_exponent is None else _take(pairs.corner_scores, order),
        merge_exponent=merge_exponent or 0.0,
    )
    index = order.gather(1, kept.indices)
    points = _take(centers.points_xy, center_index.gather(1, index))
    return Detections(kept.boxes, kept.scores, pairs.labels.gather(1, index), points)


def _side_by_side(values: Tensor) -> Tensor:
    """``[2B, D, ...]`` to ``[B, 2D, ...]``."""
    return torch.cat(halves(values), 1)


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Rows of ``[B, D, n]`` by an index ``[B, M]``: ``[B, M, n]``."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))
