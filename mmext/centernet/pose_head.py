"""Objects as points with their joints.

Zhou et al., "Objects as Points", 2019, section 4.2. Any number of joints of any kind
of object; which joints swap in a flipped image is known from the data set's ``flip_pairs``.

Shapes: B images, J joints, K objects, ``H x W`` cells.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.utils import InstanceList
from torch import Tensor

from mmext.centernet.point_decoding import PointDetections, merge_flipped_scores
from mmext.centernet.point_head import CenterNetPointHead, Maps
from mmext.centernet.point_targets import mean_absolute_error, values_at
from mmext.centernet.pose_decoding import (
    average_flipped_vectors,
    joint_candidates,
    joint_permutation,
    match_joints,
    regressed_joints,
    scores_at,
)
from mmext.centernet.pose_targets import PoseTargets, pose_targets
from mmext.errors import InputError
from mmext.functional.gaussian_focal_loss import gaussian_focal_loss
from mmext.functional.heatmaps import halves
from mmext.registry import MODELS


@MODELS.register_module()
class CenterNetPoseHead(CenterNetPointHead):
    """Centers, sizes, offsets, and of each joint a vector, a heat-map and an offset.

    Args:
        num_joints: J.
        flip_pairs: joints that swap in a flipped image, for ``test_cfg.flip``; None
            takes ``flip_pairs`` of the images' meta data.
        joint_weight: of the loss of the vectors.
        joint_heatmap_weight: of the loss of the joints' heat-maps.
        joint_offset_weight: of the loss of the joints' places in their cells.
        num_classes: as for the base class; pose is trained on persons alone.
        kwargs: of :class:`CenterNetPointHead`. ``test_cfg`` has besides
            ``match_joints`` (True; False: vectors alone), ``joint_score_thr`` (0.1) and
            ``joint_distance_ratio`` (0.3).
    """

    def __init__(
        self,
        num_joints: int,
        flip_pairs: Sequence[Sequence[int]] | None = None,
        joint_weight: float = 1.0,
        joint_heatmap_weight: float = 1.0,
        joint_offset_weight: float = 1.0,
        num_classes: int = 1,
        **kwargs: Any,
    ) -> None:
        self.num_joints, self.flip_pairs = num_joints, flip_pairs
        self.joint_weight, self.joint_heatmap_weight = joint_weight, joint_heatmap_weight
        self.joint_offset_weight = joint_offset_weight
        super().__init__(num_classes=num_classes, **kwargs)

    def branch_channels(self) -> dict[str, int]:
        """Name and channels of each output."""
        joints = dict(joint_vector=2 * self.num_joints, joint_center=self.num_joints)
        return super().branch_channels() | joints | dict(joint_offset=2)

    def get_targets(
        self,
        batch_gt_instances: InstanceList,
        map_shape: tuple[int, int],
        batch_img_metas: list[dict],
    ) -> PoseTargets:
        """Targets of boxes, ``keypoints`` ``[n, J, 2]`` and ``keypoints_visible`` ``[n, J]``.

        Raises:
            InputError: no key points, or of another number of joints.
        """
        for gt in batch_gt_instances:
            shape = list(gt.keypoints.shape) if 'keypoints' in gt else 'none'
            if shape != [len(gt), self.num_joints, 2]:
                raise InputError(
                    f'gt_instances.keypoints: expected [{len(gt)}, {self.num_joints}, 2], '
                    f'got {shape} (pipeline: mmext.LoadKeypoints, mmext.PackKeypointInputs)'
                )
        objects = super().get_targets(batch_gt_instances, map_shape, batch_img_metas)
        return pose_targets(
            objects,
            [gt.keypoints for gt in batch_gt_instances],
            [gt.keypoints_visible for gt in batch_gt_instances],
            batch_img_metas[0]['batch_input_shape'],
        )

    def stack_loss(self, maps: Maps, targets: Any) -> dict[str, Tensor]:
        """Adds ``loss_joint``, ``loss_joint_heatmap`` and ``loss_joint_offset``.

        Args:
            maps: of one stack, ``[B, channels, H, W]`` by branch.
            targets: of :meth:`get_targets`.
        """
        objects = targets.objects
        vectors = values_at(maps['joint_vector'], objects.image_index, objects.centers)
        image_index = objects.image_index.repeat_interleave(self.num_joints)
        joint_cells = targets.joint_cells.flatten(0, 1)  # [N * J, 2]
        offsets = values_at(maps['joint_offset'], image_index, joint_cells)
        return super().stack_loss(maps, objects) | dict(
            loss_joint=self.joint_weight
            * mean_absolute_error(
                vectors.float().unflatten(1, (-1, 2)), targets.joint_vectors, targets.joint_weights
            ),
            loss_joint_heatmap=self.joint_heatmap_weight
            * gaussian_focal_loss(maps['joint_center'], targets.joint_heatmap),
            loss_joint_offset=self.joint_offset_weight
            * mean_absolute_error(
                offsets.float(),
                targets.joint_offsets.flatten(0, 1),
                targets.joint_weights.flatten(),
            ),
        )

    def merge_flipped(self, maps: Maps, batch_img_metas: list[dict]) -> Maps:
        """Vectors and joint heat-maps are averaged too, joint offsets those of the plain image.

        Raises:
            InputError: neither the head nor the meta data says which joints swap.
        """
        pairs = self.flip_pairs
        if pairs is None:
            pairs = batch_img_metas[0].get('flip_pairs')
        if pairs is None:
            raise InputError(
                'flip_pairs: state them in the head, or in the data set and the meta_keys of '
                'mmext.PackKeypointInputs'
            )
        permutation = joint_permutation(self.num_joints, pairs, maps['center'].device)
        return super().merge_flipped(maps, batch_img_metas) | dict(
            joint_vector=average_flipped_vectors(maps['joint_vector'], permutation),
            joint_center=merge_flipped_scores(maps['joint_center'], permutation),
            joint_offset=halves(maps['joint_offset'])[0],
        )

    def detection_fields(self, maps: Maps, decoded: PointDetections) -> dict[str, Tensor]:
        """Adds ``keypoints`` ``[B, K, J, 2]`` and ``keypoint_scores`` ``[B, K, J]``.

        The score of a joint is that of the candidate it was matched with, or its heat-map
        at the regressed place. The score of an object is that of its center, as released.
        """
        fields = super().detection_fields(maps, decoded)
        joints = regressed_joints(decoded, maps['joint_vector'].float())
        scores = scores_at(maps['joint_center'], joints)
        if self.test_cfg.get('match_joints', True):
            candidates = joint_candidates(
                maps['joint_center'],
                maps['joint_offset'].float(),
                self.test_cfg.get('topk', 100),
                self.test_cfg.get('local_maximum_kernel', 3),
            )
            joints, snapped, matched_scores = match_joints(
                decoded.boxes,
                joints,
                candidates,
                self.test_cfg.get('joint_score_thr', 0.1),
                self.test_cfg.get('joint_distance_ratio', 0.3),
            )
            scores = torch.where(snapped, matched_scores, scores)
        return fields | dict(keypoints=joints, keypoint_scores=scores)
