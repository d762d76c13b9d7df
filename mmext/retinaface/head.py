"""The multi-task head: face, box and landmarks of every prior; mesh and attributes of faces.

Deng et al., RetinaFace, arXiv 1905.00641 v2. This file wires; the maths is in ``priors.py``,
``matching.py``, ``encoding.py``, ``multibox_loss.py``, ``sparse_tasks.py`` and ``box_voting.py``,
the numbers of the three known variants in ``presets.py``.

Shapes: N images, P priors of an image, M face priors of the batch, K landmarks, V vertices,
A attributes. Boxes, points and meshes are in pixels of the network input.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmdet.utils import InstanceList, OptConfigType, OptMultiConfig, reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.functional.mining import mine
from mmext.registry import MODELS
from mmext.retinaface.box_voting import vote_boxes
from mmext.retinaface.encoding import decode_boxes, decode_points, encode_boxes, encode_points
from mmext.retinaface.face_fields import box_tensor, pad_annotations, scale_faces
from mmext.retinaface.matching import match_priors
from mmext.retinaface.multibox_loss import face_cross_entropy, smooth_l1
from mmext.retinaface.presets import make_preset
from mmext.retinaface.priors import make_priors, to_corners
from mmext.retinaface.sparse_tasks import SparseTasks, Sums

_FACE_LOGITS = 2  # background, face


@MODELS.register_module()
class RetinaFaceHead(BaseDenseHead):
    """Predicts faces: box, score, landmarks, and if wanted attributes and a mesh.

    Args:
        in_channels: of the pyramid levels.
        preset: ``'paper'``, ``'insightface'`` or ``'pytorch'``, see
            :mod:`mmext.retinaface.presets`.
        rules: changes to the preset, for example ``dict(mining=dict(min_negatives=32))``.
        shared: one 1x1 convolution per task for all levels (the paper) instead of one per level.
        num_landmarks: K; 0 switches the task off.
        attributes: ``None``, or ``table`` (dicts with ``name``, ``values``, ``kind`` and, if not
            1, ``weight``), ``weight`` of the sum of their losses (1), ``hidden_channels`` (128).
        mesh: ``None``, or ``num_vertices``, ``triangles`` (for edge lengths; none without),
            ``vertex_weight`` (1), ``edge_weight`` (1), ``hidden_channels`` (128).
        train_cfg: unused; of the host's detectors.
        test_cfg: ``score_thr``, ``nms_pre``, ``nms`` (of mmcv), ``max_per_img``; ``vote=True``
            for box voting at the threshold of ``nms``; ``mesh=False`` and ``attributes=False``
            leave those out.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        in_channels: int,
        preset: str = 'pytorch',
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        shared: bool = False,
        num_landmarks: int = 5,
        attributes: Mapping[str, Any] | None = None,
        mesh: Mapping[str, Any] | None = None,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = dict(type='Normal', layer='Conv2d', std=0.01),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg)
        self.rules = make_preset(preset, **(rules or {}))
        self.test_cfg = test_cfg
        self.num_landmarks = num_landmarks
        priors_per_cell = self.rules.priors.priors_per_cell

        def convs(channels: int) -> nn.ModuleList:
            count = 1 if shared else len(self.rules.priors.strides)
            return nn.ModuleList(
                nn.Conv2d(in_channels, priors_per_cell * channels, 1) for _ in range(count)
            )

        self.face_convs = convs(_FACE_LOGITS)
        self.box_convs = convs(4)
        self.landmark_convs = convs(2 * num_landmarks) if num_landmarks else None
        self.details = SparseTasks(
            in_channels, priors_per_cell, self.rules.encoding, attributes, mesh
        )

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        """The outputs of all priors.

        Args:
            x: pyramid levels ``[N, C, H_i, W_i]``.

        Returns:
            Logits (background, face) ``[N, P, 2]``, box deltas ``[N, P, 4]`` and landmark
            offsets ``[N, P, K, 2]`` (``None`` without landmarks), encoded as the preset says.
        """
        landmarks = None
        if self.landmark_convs is not None:
            landmarks = _per_prior(self.landmark_convs, x, 2 * self.num_landmarks)
            landmarks = landmarks.unflatten(2, (self.num_landmarks, 2))
        return (
            _per_prior(self.face_convs, x, _FACE_LOGITS),
            _per_prior(self.box_convs, x, 4),
            landmarks,
        )

    def priors_of(self, x: Sequence[Tensor]) -> Tensor:
        """The priors of these pyramid levels, ``[P, 4]`` as (center, size)."""
        sizes = [(level.shape[2], level.shape[3]) for level in x]
        return make_priors(self.rules.priors, sizes, x[0].device)

    def loss(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of a batch, from pyramid levels ``[N, C, H_i, W_i]``: :meth:`loss_by_feat`."""
        gt_instances, ignored, metas = unpack_gt_instances(batch_data_samples)
        faces, boxes, landmarks = self(x)
        return self.loss_by_feat(faces, boxes, landmarks, x, gt_instances, metas, ignored)

    def loss_by_feat(
        self,
        face_logits: Tensor,
        box_deltas: Tensor,
        landmark_offsets: Tensor | None,
        x: Sequence[Tensor],
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: Sequence[InstanceData | None] | None = None,
    ) -> dict[str, Tensor]:
        """The losses of all tasks.

        A task that the annotation of an image leaves out adds nothing for that image.

        Args:
            face_logits: ``[N, P, 2]`` (background, face), see :meth:`forward`.
            box_deltas: ``[N, P, 4]``.
            landmark_offsets: ``[N, P, K, 2]``, or ``None`` without landmarks.
            x: the pyramid levels ``[N, C, H_i, W_i]``, for the branches that see faces alone.
            batch_gt_instances: ``bboxes``; ``keypoints`` ``[n, K, 2]`` px with
                ``keypoints_visible`` ``[n, K]`` (0 = not annotated); ``attributes`` ``[n, A]``
                (-1 = unknown); ``mesh`` ``[n, V, 3]`` px with ``mesh_valid`` ``[n]``.
            batch_img_metas: unused; of the host's protocol.
            batch_gt_instances_ignore: ``bboxes`` of faces that are neither face nor background.

        Returns:
            ``loss_face``, ``loss_bbox``, ``loss_landmark``, ``loss_attribute``,
            ``loss_mesh_vertex``, ``loss_mesh_edge``: those of the tasks that are on.
        """
        face_logits, box_deltas, landmark_offsets = _full_precision(
            face_logits, box_deltas, landmark_offsets
        )
        rules, priors = self.rules, self.priors_of(x)
        padded_gt = pad_annotations(batch_gt_instances)
        self._check_annotations(padded_gt)
        assigned = match_priors(
            to_corners(priors),
            [box_tensor(faces) for faces in batch_gt_instances],
            _boxes(batch_gt_instances_ignore, priors),
            rules.matching,
        )
        entropy = face_cross_entropy(face_logits, assigned)
        mined = mine(entropy.detach(), assigned, rules.mining)
        image_index, prior_index = (mined & (assigned >= 0)).nonzero(as_tuple=True)  # [M]
        face_index = assigned[image_index, prior_index]
        matched_gt = {name: field[image_index, face_index] for name, field in padded_gt.items()}
        matched_priors = priors[prior_index]  # [M, 4]

        boxes = encode_boxes(matched_gt['bboxes'], matched_priors, rules.encoding)
        sums: Sums = dict(
            loss_face=(
                rules.losses.face_weight * torch.where(mined, entropy, 0.0).sum(),
                mined.sum() if rules.losses.mean_over == 'mined' else len(prior_index),
            ),
            loss_bbox=(
                rules.losses.box_weight
                * smooth_l1(box_deltas[image_index, prior_index], boxes, rules.losses.beta),
                len(prior_index),
            ),
        )
        if landmark_offsets is not None:
            sums['loss_landmark'] = self._landmark_loss(
                landmark_offsets[image_index, prior_index], matched_gt, matched_priors
            )
        sums |= self.details.losses(x, image_index, prior_index, matched_priors, matched_gt)
        return means(sums)

    def _check_annotations(self, padded_gt: Mapping[str, Tensor]) -> None:
        """Refuse annotations of other landmarks, attributes or meshes than the head has."""
        wanted = dict(
            keypoints=(self.num_landmarks, 2),
            attributes=(len(self.details.table.attributes),),
            mesh=(self.details.num_vertices, 3),
        )
        for name, shape in wanted.items():
            if shape[0] and name in padded_gt and padded_gt[name].shape[2:] != shape:
                raise InputError(
                    f'gt_instances.{name}: expected {list(shape)} for each face as '
                    f'{type(self).__name__} has, got {list(padded_gt[name].shape[2:])}'
                )

    def _landmark_loss(
        self, offsets: Tensor, matched_gt: Mapping[str, Tensor], matched_priors: Tensor
    ) -> tuple[Tensor, Tensor | int]:
        """Sum over the annotated points, and the number of faces that have one."""
        if 'keypoints' not in matched_gt:
            return offsets.sum() * 0, 0
        target = encode_points(matched_gt['keypoints'], matched_priors, self.rules.encoding)
        annotated = matched_gt['keypoints_visible'] > 0  # [M, K]
        distance = smooth_l1(offsets, target, self.rules.losses.beta, annotated[..., None])
        return self.rules.losses.landmark_weight * distance, annotated.any(dim=1).sum()

    def predict(
        self, x: Sequence[Tensor], batch_data_samples: SampleList, rescale: bool = False
    ) -> InstanceList:
        """The faces of a batch, from levels ``[N, C, H_i, W_i]``: :meth:`predict_by_feat`."""
        metas = [sample.metainfo for sample in batch_data_samples]
        faces, boxes, landmarks = self(x)
        return self.predict_by_feat(faces, boxes, landmarks, x, metas, rescale)

    def predict_by_feat(
        self,
        face_logits: Tensor,
        box_deltas: Tensor,
        landmark_offsets: Tensor | None,
        x: Sequence[Tensor],
        batch_img_metas: list[dict],
        rescale: bool = False,
        with_nms: bool = True,
    ) -> InstanceList:
        """The faces of a batch, best first.

        Args:
            face_logits: ``[N, P, 2]`` (background, face), see :meth:`forward`.
            box_deltas: ``[N, P, 4]``.
            landmark_offsets: ``[N, P, K, 2]``, or ``None`` without landmarks.
            x: the pyramid levels ``[N, C, H_i, W_i]``.
            batch_img_metas: with ``scale_factor`` (x, y) if ``rescale``.
            rescale: to pixels of the original images.
            with_nms: else all candidates over ``score_thr``, at most ``nms_pre``.

        Returns:
            Per image ``bboxes`` ``[n, 4]`` (not clipped to the image), ``scores``, ``labels``
            (0), and of the tasks that are on ``keypoints`` ``[n, K, 2]``, ``mesh``
            ``[n, V, 3]``, ``attributes`` and ``attribute_scores`` ``[n, A]``.
        """
        face_logits, box_deltas, landmark_offsets = _full_precision(
            face_logits, box_deltas, landmark_offsets
        )
        priors = self.priors_of(x)
        # the difference of two logits is the logit of their softmax
        margins = face_logits[..., 1] - face_logits[..., 0]
        threshold = _logit(self.test_cfg.score_thr)
        results = []
        for i, margin in enumerate(margins):
            (chosen_index,) = (margin > threshold).nonzero(as_tuple=True)
            if len(chosen_index) > self.test_cfg.nms_pre:
                best = margin[chosen_index].topk(self.test_cfg.nms_pre).indices
                chosen_index = chosen_index[best]
            chosen_priors = priors[chosen_index]
            faces = InstanceData(
                bboxes=decode_boxes(
                    box_deltas[i, chosen_index], chosen_priors, self.rules.encoding
                ),
                scores=margin[chosen_index].sigmoid(),
                labels=torch.zeros_like(chosen_index),
                prior_index=chosen_index,
            )
            if landmark_offsets is not None:
                offsets = landmark_offsets[i, chosen_index]
                faces.keypoints = decode_points(offsets, chosen_priors, self.rules.encoding)
            results.append(suppress(faces, self.test_cfg) if with_nms else faces)
        self._add_details(results, x, priors)
        if rescale:
            for faces, meta in zip(results, batch_img_metas, strict=True):
                scale_faces(faces, [1 / factor for factor in meta['scale_factor'][:2]])
        return results

    def _add_details(self, results: InstanceList, x: Sequence[Tensor], priors: Tensor) -> None:
        """Evaluate the sparse tasks at the priors of the faces, in place."""
        counts = [len(faces) for faces in results]
        prior_index = torch.cat([faces.pop('prior_index') for faces in results])
        image_index = torch.arange(len(counts), device=prior_index.device)
        image_index = image_index.repeat_interleave(torch.tensor(counts, device=prior_index.device))
        wanted = (self.test_cfg.get(task, True) for task in ('attributes', 'mesh'))
        fields = self.details.predict(x, image_index, prior_index, priors[prior_index], *wanted)
        for name, values in fields.items():
            for faces, image_values in zip(results, values.split(counts), strict=True):
                faces.set_field(image_values, name)


def suppress(faces: InstanceData, test_cfg: Mapping[str, Any]) -> InstanceData:
    """The candidates that stay, best first; ``test_cfg`` has ``nms``, ``max_per_img``, ``vote``."""
    nms = dict(test_cfg['nms'])
    boxes, scores, labels = faces.bboxes, faces.scores, faces.labels
    _, kept_index = batched_nms(boxes, scores, labels, nms, class_agnostic=True)
    kept_index = kept_index[: test_cfg['max_per_img']]
    kept_faces = faces[kept_index]
    if test_cfg.get('vote', False):
        kept_faces.bboxes = vote_boxes(boxes, scores, kept_index, nms['iou_threshold'])
    return kept_faces


def _full_precision(
    face_logits: Tensor, box_deltas: Tensor, landmark_offsets: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Under autocast the outputs are of half precision: sums and pixels need more."""
    landmarks = None if landmark_offsets is None else landmark_offsets.float()
    return face_logits.float(), box_deltas.float(), landmarks


def _logit(probability: float) -> float:
    """Inverse of the sigmoid, infinite from 0 down and from 1 up."""
    if not 0 < probability < 1:
        return -math.inf if probability <= 0 else math.inf
    return math.log(probability / (1 - probability))


def _per_prior(convs: nn.ModuleList, x: Sequence[Tensor], channels: int) -> Tensor:
    """Outputs of all levels in the order of the priors, ``[N, P, channels]``."""
    shared = len(convs) == 1
    outputs = [convs[0 if shared else i](level) for i, level in enumerate(x)]
    return torch.cat(
        [maps.permute(0, 2, 3, 1).reshape(maps.shape[0], -1, channels) for maps in outputs], dim=1
    )


def _boxes(batch: Sequence[InstanceData | None] | None, like: Tensor) -> list[Tensor]:
    """The boxes of each image; none where there are no instances."""
    return [like.new_zeros(0, 4) if faces is None else box_tensor(faces) for faces in batch or ()]


def means(sums: Sums) -> dict[str, Tensor]:
    """The losses, from their sums and counts.

    A count is first averaged over the processes, and is 1 at least. Sum and count of a loss are
    scalars ``[]``, or have one entry for each attribute, ``[A]``; the means of these are added.
    """
    like = next(iter(sums.values()))[0]
    counts = [torch.as_tensor(n, device=like.device).to(like.dtype) for _, n in sums.values()]
    sizes = [max(count.numel(), 1) for count in counts]
    total = reduce_mean(torch.cat([count.reshape(-1) for count in counts])).clamp(min=1)
    return {
        name: (loss / count.view(loss.shape)).sum()
        for (name, (loss, _)), count in zip(sums.items(), total.split(sizes), strict=True)
    }
