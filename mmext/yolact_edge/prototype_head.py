"""Prototypes, the masks made of them, and the semantic map that helps in training.

Bolya et al., "YOLACT", ICCV 2019, sections 3 and 4. The layers are those of the host's
``YOLACTProtonet``; masks and losses are not, see the room's README.

Shapes: B images, K prototypes of h x w cells, C classes, P anchors, H x W the network input.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from mmdet.models.dense_heads.yolact_head import YOLACTProtonet
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import InstanceList
from torch import Tensor

from mmext.registry import MODELS
from mmext.yolact_edge.box_head import image_size_of, mean_over_ranks
from mmext.yolact_edge.mask_assembly import assemble_masks
from mmext.yolact_edge.mask_loss import choose, mask_loss
from mmext.yolact_edge.mask_targets import masks_on_map, semantic_target


@MODELS.register_module()
class YolactEdgeMaskHead(YOLACTProtonet):
    """The prototype network, with the masks of every image where they belong.

    Args:
        As the host's ``YOLACTProtonet``: ``num_classes``, ``in_channels``, ``proto_channels``,
        ``num_protos``, ``loss_mask_weight``, ``max_masks_to_train``, ``with_seg_branch``,
        ``loss_segm`` (its weight). ``test_cfg`` has ``mask_thr``.
    """

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Prototypes and, in training and with the branch, the semantic map.

        Args:
            x: pyramid levels; the first ``[B, M, H_3, W_3]`` is used.

        Returns:
            Prototypes ``[B, K, h, w]``, and logits ``[B, C, H_3, W_3]`` or ``None``.
        """
        wanted = self.training and self.segm_branch is not None
        return self.protonet(x[0]), self.segm_branch(x[0]) if wanted else None

    def loss_by_feat(
        self,
        prototypes: Tensor,
        semantic_logits: Tensor | None,
        coefficients: Tensor,
        assigned: Tensor,
        batch_gt_instances: InstanceList,
        canvas_size: tuple[int, int],
    ) -> dict[str, Tensor]:
        """The losses of masks and of the semantic map.

        Args:
            prototypes: ``[B, K, h, w]``.
            semantic_logits: ``[B, C, H_3, W_3]``, or ``None`` without the branch.
            coefficients: ``[B, P, K]``.
            assigned: ``[B, P]``, the object of each anchor where it is 0 or more.
            batch_gt_instances: ``bboxes``, ``labels``, ``masks``.
            canvas_size: (H, W) px of the network input.

        Returns:
            ``loss_mask``, per anchor of an object, and with the branch ``loss_segm``, per cell.
        """
        prototypes, coefficients = prototypes.float(), coefficients.float()
        total = prototypes.new_zeros(())
        semantic = prototypes.new_zeros(())
        for i, objects in enumerate(batch_gt_instances):
            masks = objects.masks.to_tensor(dtype=prototypes.dtype, device=prototypes.device)
            (anchor_index,) = (assigned[i] >= 0).nonzero(as_tuple=True)
            count = len(anchor_index)
            anchor_index = anchor_index[choose(count, self.max_masks_to_train, masks.device)]
            gt_index = assigned[i, anchor_index]
            targets = masks_on_map(masks, canvas_size, prototypes.shape[2:])[gt_index]
            boxes = get_box_tensor(objects.bboxes)[gt_index]
            loss = mask_loss(
                prototypes[i], coefficients[i, anchor_index], targets, boxes, canvas_size
            )
            total = total + loss * (count / max(len(anchor_index), 1))
            if semantic_logits is not None:
                logits = semantic_logits[i].float()
                covered = masks_on_map(masks, canvas_size, logits.shape[1:])
                target = semantic_target(covered, objects.labels, self.num_classes)
                semantic = semantic + F.binary_cross_entropy_with_logits(
                    logits, target, reduction='sum'
                )
        losses = dict(
            loss_mask=self.loss_mask_weight * total / mean_over_ranks((assigned >= 0).sum())
        )
        if semantic_logits is not None:
            batch, _, height, width = semantic_logits.shape
            weight = self.loss_segm.loss_weight
            losses['loss_segm'] = weight * semantic / (batch * height * width)
        return losses

    def predict_by_feat(
        self,
        prototypes: Tensor,
        results_list: InstanceList,
        batch_img_metas: Sequence[Mapping[str, Any]],
        canvas_size: tuple[int, int],
        rescale: bool = True,
    ) -> InstanceList:
        """Add the masks to the detections, whose coefficients they take the place of.

        Args:
            prototypes: ``[B, K, h, w]``.
            results_list: per image ``bboxes`` ``[n, 4]`` px of the network input and ``coeffs``
                ``[n, K]``.
            batch_img_metas: see :func:`mmext.yolact_edge.box_head.image_size_of`.
            canvas_size: (H, W) px of the network input.
            rescale: boxes and masks in pixels of the original image, else of the resized one.

        Returns:
            ``results_list`` with ``masks`` ``[n, height, width]`` bool.
        """
        for maps, objects, meta in zip(prototypes, results_list, batch_img_metas, strict=True):
            output_size = tuple(meta['ori_shape' if rescale else 'img_shape'][:2])
            image_size = image_size_of(meta) if rescale else output_size
            objects.masks = assemble_masks(
                maps.float(),
                objects.pop('coeffs'),
                objects.bboxes,
                canvas_size,
                image_size,
                output_size,
                self.test_cfg.mask_thr,
            )
            if rescale:
                factors = [output_size[axis] / image_size[axis] for axis in (1, 0, 1, 0)]
                objects.bboxes = objects.bboxes * objects.bboxes.new_tensor(factors)
        return results_list
