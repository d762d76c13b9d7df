"""From maps to joints, for pose with objects as points (Zhou et al. 2019, section 4.2).

Shapes: B images, J joints, K objects, M candidates per joint, ``H x W`` cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmext.centernet.point_decoding import PointDetections
from mmext.functional.heatmaps import find_peaks, gather_cells, halves
from mmext.functional.keypoints import flip_permutation


class JointCandidates(NamedTuple):
    """Local maxima of the joint heat-maps, in cells."""

    points: Tensor
    """``[B, J, M, 2]``."""
    scores: Tensor
    """``[B, J, M]`` in 0..1."""


def regressed_joints(detections: PointDetections, vectors: Tensor) -> Tensor:
    """Joints as the objects predict them: ``[B, K, J, 2]``, in cells.

    Args:
        detections: of the same maps.
        vectors: ``[B, 2J, H, W]``, x and y of each joint from the cell of a center.
    """
    corners = torch.stack([detections.peaks.xs, detections.peaks.ys], 2)
    at_peaks = gather_cells(vectors, detections.peaks.cells).unflatten(2, (-1, 2))
    return corners[:, :, None] + at_peaks


def joint_candidates(
    joint_logits: Tensor, offsets: Tensor | None, k: int, kernel_size: int = 3
) -> JointCandidates:
    """The K best local maxima of every joint.

    Args:
        joint_logits: ``[B, J, H, W]``.
        offsets: ``[B, 2, H, W]`` in cells, of all joints; None: half a cell.
        k: M becomes ``min(k, H * W)``.
        kernel_size: window of a local maximum in cells.
    """
    batch, num_joints = joint_logits.shape[:2]
    peaks = find_peaks(joint_logits.flatten(0, 1)[:, None], k, kernel_size)  # [B*J, M]
    points = torch.stack([peaks.xs, peaks.ys], 2).unflatten(0, (batch, num_joints))
    if offsets is None:
        moved = points + 0.5
    else:
        cells = peaks.cells.unflatten(0, (batch, num_joints)).flatten(1)  # [B, J*M]
        moved = points + gather_cells(offsets, cells).view(points.shape)
    scores = peaks.values.float().sigmoid().unflatten(0, (batch, num_joints))
    return JointCandidates(moved, scores)


def match_joints(
    boxes: Tensor,
    regressed: Tensor,
    candidates: JointCandidates,
    min_score: float = 0.1,
    max_distance_ratio: float = 0.3,
) -> tuple[Tensor, Tensor, Tensor]:
    """Move each regressed joint to the nearest candidate with a good score, if that is near.

    The joint stays where it is if this candidate is outside the box of the object, or further
    away than ``max_distance_ratio`` times the longer side of the box, or if there is none.

    Args:
        boxes: ``[B, K, 4]`` x1 y1 x2 y2.
        regressed: ``[B, K, J, 2]``.
        candidates: all in one frame.
        min_score: candidates below do not count.
        max_distance_ratio: of the longer side of the box.

    Returns:
        Joints ``[B, K, J, 2]``; whether each was moved, bool ``[B, K, J]``; the score of its
        nearest candidate ``[B, K, J]``.
    """
    queries = regressed.transpose(1, 2)  # [B, J, K, 2]
    distances = torch.cdist(
        queries, candidates.points, compute_mode='donot_use_mm_for_euclid_dist'
    )  # [B, J, K, M]; by matrix product it would be wrong by tenths of a cell
    too_low = candidates.scores < min_score
    distance, nearest = distances.masked_fill(too_low[:, :, None], torch.inf).min(3)
    points = candidates.points.gather(2, nearest[..., None].expand(-1, -1, -1, 2))
    scores = candidates.scores.gather(2, nearest)  # [B, J, K]
    low, high = boxes[:, None, :, :2], boxes[:, None, :, 2:]  # [B, 1, K, 2]
    longer_side = (high - low).amax(3)
    is_inside = ((points >= low) & (points <= high)).all(3)
    snaps = is_inside & (distance <= max_distance_ratio * longer_side)
    joints = torch.where(snaps[..., None], points, queries)
    return joints.transpose(1, 2), snaps.transpose(1, 2), scores.transpose(1, 2)


def scores_at(joint_logits: Tensor, points: Tensor) -> Tensor:
    """Scores of the joint heat-maps at given points: ``[B, K, J]``, 0 outside of the map.

    Args:
        joint_logits: ``[B, J, H, W]``.
        points: ``[B, K, J, 2]``, cells.
    """
    height, width = joint_logits.shape[2:]
    xs, ys = points.floor().unbind(3)
    inside = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
    cells = (ys * width + xs).where(inside, 0).long().transpose(1, 2)  # [B, J, K]
    logits = joint_logits.flatten(2).gather(2, cells).transpose(1, 2)
    return logits.float().sigmoid() * inside


def average_flipped_vectors(vectors: Tensor, permutation: Tensor) -> Tensor:
    """Average joint vectors with those of the flipped images.

    A flip negates x and makes a left joint a right one.

    Args:
        vectors: ``[2B, 2J, H, W]``, the second half from flipped inputs.
        permutation: ``[J]``, the joint that each joint becomes in a flipped image.

    Returns:
        ``[B, 2J, H, W]``.
    """
    plain, flipped = halves(vectors.unflatten(1, (-1, 2)))  # [B, J, 2, H, W]
    flipped = flipped.flip(4)[:, permutation]
    flipped = flipped * flipped.new_tensor([-1, 1]).view(2, 1, 1)
    return ((plain + flipped) / 2).flatten(1, 2)


def joint_permutation(
    num_joints: int, flip_pairs: Sequence[Sequence[int]], device: torch.device
) -> Tensor:
    """The joint that each joint becomes in a flipped image, ``[J]``.

    Raises:
        ValueError: a pair is none, names a joint that does not exist, or a joint is in two.
    """
    return torch.as_tensor(flip_permutation(num_joints, flip_pairs), device=device)
