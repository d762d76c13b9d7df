"""Training targets of human pose, or any other key points, with objects as points.

Zhou et al., "Objects as Points", 2019, section 4.2: from the center of an object a
vector to each joint, and beside that a heat-map of each joint.

Shapes: B images, J joints, N objects of all images, ``H x W`` cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmext.centernet.point_targets import PointTargets
from mmext.errors import InputError
from mmext.functional.gaussian_targets import Heatmaps, gaussian_heatmaps


class PoseTargets(NamedTuple):
    """Targets of a batch."""

    objects: PointTargets
    """As for plain detection; an object without any annotated joint does not train size
    and offset, as released."""
    joint_vectors: Tensor
    """``[N, J, 2]`` from the cell of the object's center, in cells."""
    joint_weights: Tensor
    """``[N, J]`` 1 for annotated joints on the map."""
    joint_heatmap: Heatmaps
    """``[B, J, H, W]``."""
    joint_cells: Tensor
    """``[N, J, 2]`` integer x, y, clamped to the map."""
    joint_offsets: Tensor
    """``[N, J, 2]`` where in its cell the joint is."""


def pose_targets(
    objects: PointTargets,
    joints: Sequence[Tensor],
    visible: Sequence[Tensor],
    image_shape: tuple[int, int],
) -> PoseTargets:
    """Targets of all joints of a batch at once.

    Args:
        objects: of the same objects in the same order.
        joints: per image ``[n, J, 2]``, px of the network's input.
        visible: per image ``[n, J]``, 0 = not annotated.
        image_shape: height and width of the padded input, px.

    Raises:
        InputError: not as many objects, or shapes that do not fit.
    """
    batch, _, height, width = objects.heatmap.shape
    all_joints, annotated = torch.cat([*joints]).float(), torch.cat([*visible]) > 0
    expected = (len(objects.image_index), all_joints.shape[1])
    if all_joints.dim() != 3 or annotated.shape != expected or len(all_joints) != expected[0]:
        raise InputError(
            f'keypoints: expected [{expected[0]}, J, 2] and visibility [{expected[0]}, J], '
            f'got {list(all_joints.shape)} and {list(annotated.shape)}'
        )
    num_joints = all_joints.shape[1]
    xs = all_joints[..., 0] * (width / image_shape[1])
    ys = all_joints[..., 1] * (height / image_shape[0])
    is_object = objects.weights[:, None] > 0
    # also False for what is not a number
    learned = annotated & is_object & (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
    points = torch.stack([xs, ys], 2).where(learned[..., None], 0)  # [N, J, 2]
    cells = points.long()
    heatmap = gaussian_heatmaps(
        (batch, num_joints, height, width),
        objects.image_index.repeat_interleave(num_joints),
        torch.arange(num_joints, device=cells.device).repeat(len(cells)),
        cells.where(learned[..., None], -1).flatten(0, 1),
        objects.radii.repeat_interleave(num_joints),  # that of the object, as released
    )
    return PoseTargets(
        objects._replace(weights=objects.weights * annotated.any(1)),
        points - objects.centers[:, None],
        learned.float(),
        heatmap,
        cells,
        points - cells,
    )
