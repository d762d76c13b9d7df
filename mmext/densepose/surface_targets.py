"""What regions are to say: the persons they cover, their points and masks, packed flat.

Shapes: R regions of all images, M objects of all images, P points of all regions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou

_FIELDS = ('surface_points', 'surface_iuv', 'surface_masks', 'surface_frames')


class SurfaceTargets(NamedTuple):
    """The regions that are trained on and what is annotated in them.

    Attributes:
        regions: image and box ``[R, 5]``, px.
        object_index: the object of each region ``[R]``.
        has_mask: whether it has masks ``[R]``.
        canvases: ``[M, 256, 256]`` uint8.
        frames: of the canvases ``[M, 3, 2]`` px.
        points: ``[P, 2]`` px.
        parts: ``[P]`` int64, 0 is the background.
        uv: ``[P, 2]``.
        region_index: the region of each point ``[P]``.
    """

    regions: Tensor
    object_index: Tensor
    has_mask: Tensor
    canvases: Tensor
    frames: Tensor
    points: Tensor
    parts: Tensor
    uv: Tensor
    region_index: Tensor


def collect_targets(
    boxes: Sequence[Tensor], matched: Sequence[Tensor], batch_gt: Sequence[Any], min_overlap: float
) -> SurfaceTargets:
    """The regions that cover a person whose surface is annotated.

    Args:
        boxes: positive proposals of each image ``[n, 4]``.
        matched: the object of each of them ``[n]``.
        batch_gt: objects of each image, with ``bboxes`` and the fields of ``mmext.LoadSurface``.
        min_overlap: the IoU of proposal and object is above it.

    Raises:
        InputError: an image has no such fields.
    """
    parts: list[tuple[Tensor, ...]] = []
    regions_so_far = objects_so_far = 0
    for number, (own, index, gt) in enumerate(zip(boxes, matched, batch_gt, strict=True)):
        missing = [name for name in _FIELDS if name not in gt]
        if missing:
            raise InputError(
                f'gt_instances: no {", ".join(missing)} (pipeline: mmext.LoadSurface after '
                'LoadAnnotations, mmext.PackKeypointInputs at the end)'
            )
        known = gt.surface_iuv[..., 0] >= 0  # [n, P]
        has_mask = gt.surface_masks[:, 0, 0] != 255
        boxes_of_gt = getattr(gt.bboxes, 'tensor', gt.bboxes)
        overlap = pairwise_iou(own[:, None].float(), boxes_of_gt[index][:, None].float())[:, 0, 0]
        kept = (overlap > min_overlap) & (known.any(1) | has_mask)[index]
        own, index = own[kept], index[kept]
        of_region = known[index].nonzero()  # [p, 2]
        points = index[of_region[:, 0]], of_region[:, 1]
        iuv = gt.surface_iuv[points]
        parts.append(
            (
                torch.cat([own.new_full((len(own), 1), number), own], dim=1),
                index + objects_so_far,
                has_mask[index],
                gt.surface_masks,
                gt.surface_frames,
                gt.surface_points[points],
                iuv[:, 0].long(),
                iuv[:, 1:],
                of_region[:, 0] + regions_so_far,
            )
        )
        regions_so_far += len(own)
        objects_so_far += len(gt.surface_masks)
    return SurfaceTargets(*(torch.cat(values) for values in zip(*parts, strict=True)))
