"""Panoptic head of UPSNet: fusion without parameters, trained through its own loss.

Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network", CVPR 2019,
sections 3.1 and 3.2. This file only loops over the images of a batch and packs the host's
structures; the maths is in ``panoptic_logits.py`` and ``panoptic_targets.py`` (training),
``mask_pruning.py``, ``panoptic_composition.py`` and ``panoptic_merging.py`` (inference).
"""

import torch
from mmdet.models.seg_heads.panoptic_fusion_heads import BasePanopticFusionHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import InstanceList, OptConfigType
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from mmext.registry import MODELS
from mmext.renamed_keys import accept_old_keys
from mmext.upsnet.box_windows import Rounding
from mmext.upsnet.panoptic_composition import Outside, compose_panoptic
from mmext.upsnet.panoptic_logits import panoptic_logits
from mmext.upsnet.panoptic_merging import merge_by_vote, resize_ids_nearest
from mmext.upsnet.panoptic_targets import (
    Normalization,
    panoptic_cross_entropy,
    panoptic_targets,
    sample_kept_instances,
    subsample,
)

STRIDE = 4  # of the semantic logits, in pixels of the network input


@MODELS.register_module()
class UPSNetPanopticHead(BasePanopticFusionHead):
    """One argmax over stuff, instances and "unknown".

    Args:
        num_things_classes: number of thing classes T, labels ``0..T-1``.
        num_stuff_classes: number of stuff classes S, labels ``T..T+S-1``.
        loss_weight: weight of the panoptic loss.
        keep_fraction: share of the ground truth instances that get a channel in training;
            the pixels of the others teach "unknown".
        normalization: of the loss, see :func:`panoptic_cross_entropy`.
        rounding: of the box windows, see :mod:`mmext.upsnet.box_windows`.
        with_unknown: whether there is an unknown channel; without it pixels of things that have
            no channel do not count in the loss, so that ``keep_fraction`` should be 1.
        outside: value of an instance channel outside its box at inference, see
            :mod:`mmext.upsnet.panoptic_composition`.
        test_cfg: ``mask_overlap``, the largest share of a mask under kept masks of its class,
            and ``stuff_area_limit`` in pixels of the predicted map.
    """

    @accept_old_keys(normalisation='normalization')
    def __init__(
        self,
        num_things_classes: int,
        num_stuff_classes: int,
        loss_weight: float = 1.0,
        keep_fraction: float = 0.7,
        normalization: Normalization = 'valid',
        rounding: Rounding = 'official',
        outside: Outside = 'zero',
        with_unknown: bool = True,
        test_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(num_things_classes, num_stuff_classes, test_cfg=test_cfg)
        self.loss_weight = loss_weight
        self.keep_fraction = keep_fraction
        self.normalization = normalization
        self.rounding = rounding
        self.outside = outside
        self.with_unknown = with_unknown

    def sample_instances(self, batch_data_samples: SampleList) -> InstanceList:
        """Draw the ground truth instances that get a channel.

        The draw is made on the CPU, where the ground truth masks are.

        Returns:
            Per image ``bboxes`` ``[n, 4]``, ``labels`` ``[n]`` and ``masks`` bool
            ``[n, H/4, W/4]``, on the device of the boxes.
        """
        sampled = []
        for sample in batch_data_samples:
            gt = sample.gt_instances
            kept_index = sample_kept_instances(len(gt), self.keep_fraction)
            masks = subsample(torch.from_numpy(gt.masks.to_ndarray()), STRIDE)[kept_index]
            boxes = get_box_tensor(gt.bboxes)
            kept_index = kept_index.to(boxes.device)
            sampled.append(
                InstanceData(
                    bboxes=boxes[kept_index],
                    labels=gt.labels[kept_index],
                    masks=masks.bool().to(boxes.device),
                )
            )
        return sampled

    def loss(
        self,
        semantic_logits: Tensor,
        mask_logits: list[Tensor],
        instances: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        """Cross entropy of the panoptic logits at stride 4.

        Args:
            semantic_logits: ``[N, C, h, w]``.
            mask_logits: per image ``[n, m, m]``, of each instance's class.
            instances: per image, from :meth:`sample_instances`.
            batch_data_samples: with ``gt_sem_seg``, ``[1, 4h, 4w]``.

        Returns:
            ``loss_panoptic``, the mean over images.
        """
        losses = []
        for logits, masks, image, sample in zip(
            semantic_logits, mask_logits, instances, batch_data_samples, strict=True
        ):
            target = panoptic_targets(
                subsample(sample.gt_sem_seg.sem_seg[0], STRIDE),
                image.masks,
                self.num_things_classes,
                self.num_stuff_classes,
                with_unknown=self.with_unknown,
            )
            fused = panoptic_logits(
                logits,
                masks,
                inclusive_boxes(image.bboxes),
                image.labels,
                self.num_things_classes,
                stride=STRIDE,
                rounding=self.rounding,
                with_unknown=self.with_unknown,
            )
            losses.append(panoptic_cross_entropy(fused, target, self.normalization))
        return dict(loss_panoptic=self.loss_weight * torch.stack(losses).mean())

    def predict(
        self,
        semantic_logits: Tensor,
        mask_logits: list[Tensor],
        segments: InstanceList,
        batch_img_metas: list[dict],
        rescale: bool = True,
    ) -> list[tuple[PixelData, PixelData]]:
        """Panoptic and semantic map of every image.

        Args:
            semantic_logits: ``[N, C, h, w]``.
            mask_logits: per image ``[n, m, m]``, of each segment's class.
            segments: per image the detections (``bboxes`` in network pixels, ``labels``,
                ``scores``) that passed the score threshold and NMS; with ``instances_ids``
                (``[n]``, over 0) these are the numbers of the instances.
            batch_img_metas: with ``img_shape`` and ``ori_shape``.
            rescale: at the size of the original image, else of the network input.

        Returns:
            Per image two maps with ``sem_seg`` ``[1, h, w]``, int32: the panoptic ids and the
            semantic labels.
        """
        return [
            self._predict_single(*image, rescale)
            for image in zip(semantic_logits, mask_logits, segments, batch_img_metas, strict=True)
        ]

    def _predict_single(
        self,
        semantic_logits: Tensor,
        mask_logits: Tensor,
        segments: InstanceData,
        meta: dict,
        rescale: bool,
    ) -> tuple[PixelData, PixelData]:
        composition = compose_panoptic(
            semantic_logits,
            mask_logits,
            inclusive_boxes(segments.bboxes),
            segments.labels,
            segments.scores,
            self.num_things_classes,
            factor=STRIDE,
            max_overlap_ratio=self.test_cfg.mask_overlap,
            rounding=self.rounding,
            outside=self.outside,
            with_unknown=self.with_unknown,
        )
        height, width = meta['img_shape'][:2]
        size = tuple(meta['ori_shape'][:2]) if rescale else (height, width)
        channels, semantic = (
            resize_ids_nearest(ids[:height, :width], size)
            for ids in (composition.channels, composition.semantic_labels)
        )
        panoptic = merge_by_vote(
            channels,
            semantic,
            segments.labels[composition.kept_index],
            self.num_things_classes,
            self.num_stuff_classes,
            self.test_cfg.stuff_area_limit,
            segments.instances_ids[composition.kept_index] if 'instances_ids' in segments else None,
        )
        return PixelData(sem_seg=panoptic[None]), PixelData(sem_seg=semantic[None])


def inclusive_boxes(boxes_xyxy: Tensor) -> Tensor:
    """The host's boxes, ``[n, 4]``, with ends that name the last pixel of the box.

    The host's end at the far edge of that pixel; the windows of the published head add 1 to an
    end. A box narrower than a pixel keeps one.
    """
    starts, ends = boxes_xyxy.split(2, dim=1)
    return torch.cat((starts, torch.maximum(ends - 1, starts)), dim=1)
