"""Box, class and mask coefficients of every anchor: the host's layers with the released rules.

Bolya et al., "YOLACT", ICCV 2019. The layers are those of the host's ``YOLACTHead``; matching,
losses and predictions are not, see the room's README. This file wires; the maths is in
``anchors.py``, ``matching.py``, ``fast_nms.py`` and ``functional/mining.py``.

Shapes: B images, P anchors, C classes (channel C is background), K prototypes. Boxes are in pixels
of the network input.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.dense_heads import YOLACTHead
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import InstanceList, OptConfigType, reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.mining import MiningRules, mine
from mmext.registry import MODELS
from mmext.yolact_edge.fast_nms import Kept, fast_nms
from mmext.yolact_edge.matching import MatchingRules, match_anchors

_NMS = ('fast', 'nms', 'soft_nms')


@MODELS.register_module()
class YolactEdgeHead(YOLACTHead):
    """The head of YOLACT with released anchors, matching and detections.

    Args:
        num_classes: C.
        in_channels: of the pyramid.
        anchor_generator: makes all anchors from the sizes of the levels and of the input.
        train_cfg: ``matching`` (:class:`MatchingRules`), ``mining`` (:class:`MiningRules`; by
            default 3 background anchors for one of an object, and 3 of an image without objects).
        test_cfg: ``score_thr``; ``nms``: ``type='fast'`` with ``iou_threshold``, ``top_k`` and
            ``score_thr``, see :func:`~mmext.yolact_edge.fast_nms.fast_nms`, or one of mmcv's
            (``'nms'``, ``'soft_nms'``); ``max_per_img``.
        **kwargs: as the host's: ``feat_channels``, ``num_protos``, ``num_head_convs``,
            ``loss_cls``, ``loss_bbox``, ``bbox_coder``, ``norm_cfg``, ``init_cfg``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        anchor_generator: Mapping[str, Any] = {'type': 'mmext.SquareAnchorGenerator'},
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault(
            'bbox_coder',
            dict(
                type='DeltaXYWHBBoxCoder',
                target_means=(0.0, 0.0, 0.0, 0.0),
                target_stds=(0.1, 0.1, 0.2, 0.2),
            ),
        )
        # the host would build its own assigner out of train_cfg
        super().__init__(
            num_classes, in_channels, anchor_generator=dict(anchor_generator), **kwargs
        )
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        self.matching = MatchingRules(**(train_cfg or {}).get('matching', {}))
        mining: dict[str, Any] = {'negatives_per_positive': 3.0, 'min_negatives': 3}
        self.mining = MiningRules(**(mining | dict((train_cfg or {}).get('mining', {}))))
        nms = (test_cfg or {}).get('nms', {})
        if nms and nms.get('type') not in _NMS:
            raise InputError(f'test_cfg.nms.type: expected one of {_NMS}, got {nms.get("type")!r}')

    def anchors_of(self, maps: Sequence[Tensor], canvas_size: tuple[int, int]) -> Tensor:
        """The anchors ``[P, 4]`` of levels ``[B, M, H_i, W_i]`` of an input of (H, W) px."""
        sizes = [(level.shape[2], level.shape[3]) for level in maps]
        anchors: Tensor = self.prior_generator.grid_priors(sizes, canvas_size, maps[0].device)
        return anchors

    def loss_by_feat(  # the host keeps state instead of handing it on
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        assigned: Tensor,
        anchors_xyxy: Tensor,
        batch_gt_instances: InstanceList,
    ) -> dict[str, Tensor]:
        """The losses of classes and boxes.

        Args:
            cls_scores: logits of each level, ``[B, A * (C + 1), H_i, W_i]``.
            bbox_preds: ``[B, A * 4, H_i, W_i]``.
            assigned: ``[B, P]``, see :meth:`assign`.
            anchors_xyxy: ``[P, 4]``.
            batch_gt_instances: ``bboxes``, ``labels``.

        Returns:
            ``loss_cls`` and ``loss_bbox``, both per anchor of an object. In a batch with fewer of
            those than its background anchors stand for (images without objects), ``loss_cls`` is
            divided by what they stand for: it is never more than that of a usual batch.
        """
        logits = per_anchor(cls_scores, self.cls_out_channels).float()  # [B, P, C + 1]
        deltas = per_anchor(bbox_preds, 4).float()
        image_index, anchor_index = (assigned >= 0).nonzero(as_tuple=True)
        gt_labels, gt_boxes = self._matched_gt(assigned, batch_gt_instances)
        labels = torch.full_like(assigned, self.num_classes)
        labels[image_index, anchor_index] = gt_labels
        entropy = self.loss_cls(
            logits.flatten(0, 1), labels.flatten(), reduction_override='none'
        ).view_as(assigned)
        mined = mine(entropy.detach(), assigned, self.mining)
        num_positives = len(image_index)
        stands_for = (mined.sum() - num_positives) / max(self.mining.negatives_per_positive, 1.0)
        targets = self.bbox_coder.encode(anchors_xyxy[anchor_index], gt_boxes)
        return dict(
            # not a product: neutral anchors may have any entropy
            loss_cls=torch.where(mined, entropy, 0.0).sum()
            / mean_over_ranks(stands_for.clamp(min=num_positives)),
            loss_bbox=self.loss_bbox(
                deltas[image_index, anchor_index],
                targets,
                avg_factor=mean_over_ranks(assigned.new_tensor(num_positives)),
            ),
        )

    def assign(
        self,
        anchors_xyxy: Tensor,
        batch_gt_instances: InstanceList,
        batch_gt_instances_ignore: Sequence[InstanceData | None],
    ) -> Tensor:
        """Which object each anchor learns.

        Args:
            anchors_xyxy: ``[P, 4]``.
            batch_gt_instances: ``bboxes``.
            batch_gt_instances_ignore: ``bboxes`` of crowds; ``None`` for none.

        Returns:
            ``[B, P]`` int64: index of the object in its image, or background or neutral, see
            :mod:`mmext.yolact_edge.matching`.
        """
        assigned = []
        for objects, crowds in zip(batch_gt_instances, batch_gt_instances_ignore, strict=True):
            boxes = get_box_tensor(objects.bboxes)
            crowd_boxes = boxes[:0] if crowds is None else get_box_tensor(crowds.bboxes)
            assigned.append(match_anchors(anchors_xyxy, boxes, crowd_boxes, self.matching))
        return torch.stack(assigned)

    def _matched_gt(
        self, assigned: Tensor, batch_gt_instances: InstanceList
    ) -> tuple[Tensor, Tensor]:
        """Labels ``[M]`` and boxes ``[M, 4]`` of the objects, anchor by anchor."""
        chosen = [
            (objects.labels[own], get_box_tensor(objects.bboxes)[own])
            for objects, row in zip(batch_gt_instances, assigned, strict=True)
            for own in [row[row >= 0]]
        ]
        labels, boxes = zip(*chosen, strict=True)
        return torch.cat(labels), torch.cat(boxes)

    def predict_by_feat(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        coeff_preds: Sequence[Tensor],
        batch_img_metas: Sequence[Mapping[str, Any]],
        canvas_size: tuple[int, int],
    ) -> InstanceList:
        """The detections of a batch, best first.

        Args:
            cls_scores: logits of each level, ``[B, A * (C + 1), H_i, W_i]``.
            bbox_preds: ``[B, A * 4, H_i, W_i]``.
            coeff_preds: ``[B, A * K, H_i, W_i]``.
            batch_img_metas: see :func:`image_size_of`.
            canvas_size: (H, W) px of the network input.

        Returns:
            Per image ``bboxes`` ``[n, 4]`` px of the network input, inside of the image;
            ``scores``, ``labels`` ``[n]`` and ``coeffs`` ``[n, K]``.
        """
        anchors = self.anchors_of(cls_scores, canvas_size)
        scores = per_anchor(cls_scores, self.cls_out_channels).float().softmax(-1)[..., :-1]
        deltas = per_anchor(bbox_preds, 4).float()
        coefficients = per_anchor(coeff_preds, self.num_protos).float()
        return [
            self._detect(scores[i], deltas[i], coefficients[i], anchors, image_size_of(meta))
            for i, meta in enumerate(batch_img_metas)
        ]

    def _detect(
        self,
        scores: Tensor,
        deltas: Tensor,
        coefficients: Tensor,
        anchors: Tensor,
        image_size: tuple[float, float],
    ) -> InstanceData:
        """The detections of an image from ``[P, C]``, ``[P, 4]``, ``[P, K]`` and ``[P, 4]``."""
        (candidate_index,) = (scores.amax(dim=1) > self.test_cfg.score_thr).nonzero(as_tuple=True)
        boxes = self.bbox_coder.decode(anchors[candidate_index], deltas[candidate_index])
        clipped = clip(boxes, image_size)
        (inside,) = (clipped[:, 2:] > clipped[:, :2]).all(dim=1).nonzero(as_tuple=True)
        candidate_index, boxes, clipped = candidate_index[inside], boxes[inside], clipped[inside]
        kept = self._suppress(boxes, scores[candidate_index])
        return InstanceData(
            bboxes=clipped[kept.box_index],
            scores=kept.scores,
            labels=kept.labels,
            coeffs=coefficients[candidate_index[kept.box_index]],
        )

    def _suppress(self, boxes: Tensor, scores: Tensor) -> Kept:
        """NMS within each class, of boxes ``[n, 4]`` with scores ``[n, C]``."""
        nms, max_num = dict(self.test_cfg.nms), self.test_cfg.max_per_img
        if nms['type'] == 'fast':
            del nms['type']
            return fast_nms(boxes, scores, max_num=max_num, **nms)
        box_index, labels = (scores > self.test_cfg.score_thr).nonzero(as_tuple=True)
        # the host keeps classes apart by an offset, which is right for coordinates above 0 alone
        pairs = boxes[box_index]
        if len(pairs):
            pairs = pairs - pairs.min()
        scored, kept_index = batched_nms(pairs, scores[box_index, labels], labels, nms)
        kept_index = kept_index[:max_num]
        return Kept(box_index[kept_index], labels[kept_index], scored[:max_num, -1])


def per_anchor(maps: Sequence[Tensor], channels: int) -> Tensor:
    """Outputs of all levels in the order of the anchors.

    Args:
        maps: ``[B, A * channels, H_i, W_i]`` of each level.
        channels: outputs of an anchor.

    Returns:
        ``[B, P, channels]``.
    """
    return torch.cat([x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, channels) for x in maps], dim=1)


def clip(boxes_xyxy: Tensor, image_size: tuple[float, float]) -> Tensor:
    """The parts of boxes ``[n, 4]`` inside of an image of (height, width) px, a copy."""
    height, width = image_size
    limit = boxes_xyxy.new_tensor([width, height, width, height])
    return boxes_xyxy.clamp(min=0).minimum(limit)


def image_size_of(meta: Mapping[str, Any]) -> tuple[float, float]:
    """How much of the network input the image fills, as (height, width) px.

    Args:
        meta: with ``img_shape``, which counts the padding of a pipeline's own ``Pad``, and, if the
            image was resized, ``ori_shape`` and ``scale_factor`` (x, y), which do not.
    """
    height, width = meta['img_shape'][:2]
    if 'scale_factor' in meta:
        height = min(height, meta['ori_shape'][0] * meta['scale_factor'][1])
        width = min(width, meta['ori_shape'][1] * meta['scale_factor'][0])
    return height, width


def mean_over_ranks(count: Tensor) -> Tensor:
    """A number ``[]`` that sums are divided by: its mean over the processes, at least 1."""
    return reduce_mean(count.float()).clamp(min=1)
