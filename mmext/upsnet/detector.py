"""UPSNet: instance and semantic segmentation unified by a parameter-free head.

Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network", CVPR
2019. A Mask R-CNN and a semantic head share one pyramid; the panoptic head adds
mask logits to the semantic logits of each instance's class and decides every
pixel by one argmax, with an extra channel for "unknown".

Deviations: RoIAlign, NMS and box arithmetic are the host's (no legacy ``+1``);
any number of images per batch.
"""

import copy
from typing import Any

import torch
from mmdet.models.detectors import TwoStagePanopticSegmentor
from mmdet.models.layers import multiclass_nms
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.layers.shown_images import ShowsImages
from mmext.registry import MODELS


@MODELS.register_module()
class UPSNet(ShowsImages, TwoStagePanopticSegmentor):
    """mmdet's two-stage panoptic base with UPSNet's losses and predictions.

    Args:
        num_things_classes: number of thing classes; written into every head,
            so that a config for other classes states it once.
        num_stuff_classes: number of stuff classes, likewise.
        roi_head: a two-stage head with a box and a mask branch.
        semantic_head: a :class:`~mmext.upsnet.semantic_head.UPSNetSemanticHead`.
        panoptic_fusion_head: a :class:`~mmext.upsnet.panoptic_head.UPSNetPanopticHead`.
        **kwargs: ``backbone``, ``neck``, ``rpn_head``, ``train_cfg``,
            ``test_cfg`` (with ``rpn``, ``rcnn``, ``panoptic``),
            ``data_preprocessor``, ``init_cfg`` as in mmdet.
    """

    def __init__(
        self,
        *,
        num_things_classes: int,
        num_stuff_classes: int,
        roi_head: ConfigType,
        semantic_head: ConfigType,
        panoptic_fusion_head: ConfigType,
        **kwargs: Any,
    ) -> None:
        counts = dict(num_things_classes=num_things_classes, num_stuff_classes=num_stuff_classes)
        roi_head, semantic_head, panoptic_fusion_head = (
            copy.deepcopy(head) for head in (roi_head, semantic_head, panoptic_fusion_head)
        )
        roi_head['bbox_head'].update(num_classes=num_things_classes)
        roi_head['mask_head'].update(num_classes=num_things_classes)
        semantic_head.update(counts)
        panoptic_fusion_head.update(counts)
        super().__init__(
            roi_head=roi_head,
            semantic_head=semantic_head,
            panoptic_fusion_head=panoptic_fusion_head,
            **kwargs,
        )

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of the RPN, the box and mask branches, the semantic and the panoptic head.

        Args:
            batch_inputs: normalized images, ``[N, 3, H, W]``.
            batch_data_samples: with ``gt_instances`` (boxes, labels, masks), ``gt_sem_seg``.

        Returns:
            Scalars by name; what is back-propagated starts with ``loss``.
        """
        features = self.extract_feat(batch_inputs)
        losses, proposals = self._rpn_loss(features, batch_data_samples)
        losses.update(self.roi_head.loss(features, proposals, batch_data_samples))
        losses.update(self._segmentation_loss(features, batch_data_samples))
        return losses

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Panoptic, instance and semantic segmentation of every image from one pass.

        Args:
            batch_inputs: normalized images, ``[N, 3, H, W]``.
            batch_data_samples: the image meta; predictions are added to them.
            rescale: predict at the size of the original images, else of the network input.

        Returns:
            The data samples with ``pred_panoptic_seg.sem_seg`` (``[1, h, w]``, int32, label +
            1000 * instance number, void = number of classes), ``pred_sem_seg.sem_seg``
            (``[1, h, w]``, label of the largest semantic logit) and ``pred_instances``.
        """
        return self._predict_from_features(
            self.extract_feat(batch_inputs), batch_data_samples, rescale
        )

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: SampleList | None = None
    ) -> tuple[Tensor, ...]:
        """Raw outputs: RPN maps, box scores and deltas, mask logits, semantic logits."""
        features = self.extract_feat(batch_inputs)
        return self._raw_outputs(features, batch_data_samples or _blank_samples(batch_inputs))

    def _segmentation_loss(
        self, features: tuple[Tensor, ...], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The losses of the semantic and the panoptic head."""
        semantic_logits = self.semantic_head(features)
        losses = self.semantic_head.loss(semantic_logits, batch_data_samples)
        sampled_gt = self.panoptic_fusion_head.sample_instances(batch_data_samples)
        mask_logits = [
            _of_class(logits, image.labels)
            for logits, image in zip(
                self._mask_logits(features, sampled_gt), sampled_gt, strict=True
            )
        ]
        losses.update(
            self.panoptic_fusion_head.loss(
                semantic_logits, mask_logits, sampled_gt, batch_data_samples
            )
        )
        return losses

    def _predict_from_features(
        self, features: tuple[Tensor, ...], batch_data_samples: SampleList, rescale: bool
    ) -> SampleList:
        """The predictions of :meth:`predict`, from the pyramid levels of the images."""
        metas = [sample.metainfo for sample in batch_data_samples]
        candidates = self._box_candidates(features, batch_data_samples, metas)
        detections = [_select(image, self.test_cfg.rcnn) for image in candidates]
        segments = [_select(image, self.test_cfg.panoptic) for image in candidates]
        self._assign_instance_ids(features, segments, detections, metas)
        if hasattr(self.roi_head, 'add_embeddings'):  # of `mmext.EmbeddingRoIHead`
            self.roi_head.add_embeddings(features, detections)
        mask_logits = self._mask_logits(features, detections + segments)
        maps = self.panoptic_fusion_head.predict(
            self.semantic_head(features),
            [
                _of_class(logits, image.labels)
                for logits, image in zip(mask_logits[len(metas) :], segments, strict=True)
            ],
            segments,
            metas,
            rescale=rescale,
        )
        instances = self.roi_head.mask_head.predict_by_feat(
            mask_logits[: len(metas)], detections, metas, self.test_cfg.rcnn, rescale=rescale
        )
        for sample, (panoptic, semantic), image_instances in zip(
            batch_data_samples, maps, instances, strict=True
        ):
            sample.pred_panoptic_seg = panoptic
            sample.pred_sem_seg = semantic
            sample.pred_instances = image_instances
        return batch_data_samples

    def _assign_instance_ids(
        self,
        features: tuple[Tensor, ...],
        segments: InstanceList,
        detections: InstanceList,
        metas: list[dict],
    ) -> None:
        """Add ``instances_ids`` to the segments and detections; a model of single images adds none.

        The panoptic head takes these ids, which are over 0, as instance numbers. Without them it
        numbers the instances itself.
        """

    def _raw_outputs(
        self, features: tuple[Tensor, ...], batch_data_samples: SampleList
    ) -> tuple[Tensor, ...]:
        proposals = self.rpn_head.predict(features, batch_data_samples, rescale=False)
        return (
            *self.rpn_head(features),
            *self.roi_head.forward(features, proposals, batch_data_samples),
            self.semantic_head(features),
        )

    def _rpn_loss(
        self, features: tuple[Tensor, ...], batch_data_samples: SampleList
    ) -> tuple[dict[str, Tensor], InstanceList]:
        proposal_cfg = self.train_cfg.get('rpn_proposal', self.test_cfg.rpn)
        losses, proposals = self.rpn_head.loss_and_predict(
            features, [_class_agnostic(s) for s in batch_data_samples], proposal_cfg=proposal_cfg
        )
        # RPNHead says `loss_rpn_cls`, other proposal heads `loss_cls` like the box head
        named = {
            k if 'rpn' in k else k.replace('loss', 'loss_rpn', 1): v for k, v in losses.items()
        }
        return named, proposals

    def _box_candidates(
        self, features: tuple[Tensor, ...], batch_data_samples: SampleList, metas: list[dict]
    ) -> InstanceList:
        """Per image the class scores and decoded boxes of all proposals, before any selection."""
        if 'proposals' in batch_data_samples[0]:
            proposals = [sample.proposals for sample in batch_data_samples]
        else:
            proposals = self.rpn_head.predict(features, batch_data_samples, rescale=False)
        return self.roi_head.predict_bbox(features, metas, proposals, None, rescale=False)

    def _mask_logits(self, features: tuple[Tensor, ...], boxes: InstanceList) -> list[Tensor]:
        """Mask logits of every class, ``[n_i, T, 28, 28]`` per entry.

        ``boxes`` holds one entry per image, or several rounds of all images in the same order:
        the box branch of average precision and the panoptic branch share one call, in which a box
        that both have kept goes through the head once.
        """
        num_images = len(features[0])
        rois = bbox2roi([get_box_tensor(entry.bboxes) for entry in boxes])
        rois[:, 0] %= num_images
        lengths = [len(entry) for entry in boxes]
        if len(boxes) == num_images:
            return list(self.roi_head._mask_forward(features, rois)['mask_preds'].split(lengths))
        rois, roi_index = rois.unique(dim=0, return_inverse=True)
        logits = self.roi_head._mask_forward(features, rois)['mask_preds']
        return [logits[index] for index in roi_index.split(lengths)]


def _select(candidates: InstanceData, cfg: ConfigType) -> InstanceData:
    """Score threshold, NMS and the best ``max_per_img`` of one image's box candidates."""
    boxes, labels = multiclass_nms(
        candidates.bboxes, candidates.scores, cfg.score_thr, cfg.nms, cfg.max_per_img
    )
    return InstanceData(bboxes=boxes[:, :4], scores=boxes[:, 4], labels=labels)


def _of_class(mask_logits: Tensor, labels: Tensor) -> Tensor:
    """``[n, T, 28, 28]`` and ``[n]`` to the logits of each instance's class, ``[n, 28, 28]``."""
    return mask_logits[torch.arange(len(labels), device=labels.device), labels]


def _class_agnostic(sample: DetDataSample) -> DetDataSample:
    """The ground truth as the RPN sees it: boxes of one class, no masks (and so no copy)."""
    boxes = sample.gt_instances.bboxes
    rpn_sample = DetDataSample(metainfo=sample.metainfo)
    rpn_sample.gt_instances = InstanceData(
        bboxes=boxes, labels=torch.zeros_like(sample.gt_instances.labels)
    )
    if 'ignored_instances' in sample:
        rpn_sample.ignored_instances = sample.ignored_instances
    return rpn_sample


def _blank_samples(batch_inputs: Tensor) -> SampleList:
    """Data samples that say only that each image fills the batch, for shape analysis."""
    shape = tuple(batch_inputs.shape[-2:])
    meta = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0), batch_input_shape=shape)
    return [DetDataSample(metainfo=meta) for _ in batch_inputs]
