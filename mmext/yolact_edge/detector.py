"""How the parts are wired: an image model whose masks are right on every canvas.

Liu et al., "YolactEdge: Real-time Instance Segmentation on the Edge", ICRA 2021. What comes after
the pyramid is in methods of its own (:meth:`YolactEdge.loss_of_levels`,
:meth:`YolactEdge.predict_levels`): levels may come from elsewhere than this frame's backbone.
"""

from collections.abc import Sequence

from mmdet.models.detectors.single_stage_instance_seg import SingleStageInstanceSegmentor
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from torch import Tensor

from mmext.registry import MODELS
from mmext.yolact_edge.box_head import per_anchor

Outputs = tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]


@MODELS.register_module()
class YolactEdge(SingleStageInstanceSegmentor):
    """Backbone, :class:`YolactEdgeFPN`, :class:`YolactEdgeHead` and :class:`YolactEdgeMaskHead`.

    Args:
        As the host's YOLACT: ``backbone``, ``neck``, ``bbox_head``, ``mask_head``,
        ``train_cfg``, ``test_cfg``, ``data_preprocessor``, ``init_cfg``.
    """

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of a batch.

        Args:
            batch_inputs: normalized images ``[B, 3, H, W]``.
            batch_data_samples: with ``gt_instances`` (``bboxes``, ``labels``, ``masks``) and
                crowds as ``ignored_instances``.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``loss_mask`` and, with the branch, ``loss_segm``; finite
            for a batch without objects.
        """
        levels = self.extract_feat(batch_inputs)
        return self.loss_of_levels(levels, batch_data_samples, canvas_of(batch_inputs))

    def loss_of_levels(
        self, levels: Sequence[Tensor], samples: SampleList, canvas_size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """The losses from pyramid levels ``[B, M, H_i, W_i]`` of an input of (H, W) px."""
        objects, crowds, _ = unpack_gt_instances(samples)
        cls_scores, bbox_preds, coeff_preds = self.bbox_head(levels)
        prototypes, semantic_logits = self.mask_head(levels)
        anchors = self.bbox_head.anchors_of(levels, canvas_size)
        assigned = self.bbox_head.assign(anchors, objects, crowds)
        losses: dict[str, Tensor] = self.bbox_head.loss_by_feat(
            cls_scores, bbox_preds, assigned, anchors, objects
        )
        coefficients = per_anchor(coeff_preds, self.bbox_head.num_protos)
        return losses | self.mask_head.loss_by_feat(
            prototypes, semantic_logits, coefficients, assigned, objects, canvas_size
        )

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The objects of a batch.

        Args:
            batch_inputs: normalized images ``[B, 3, H, W]``.
            batch_data_samples: the image meta; ``pred_instances`` are added to them.
            rescale: boxes and masks in pixels of the original images, else of the resized ones.

        Returns:
            The data samples with ``pred_instances``: ``bboxes`` ``[n, 4]``, ``scores``,
            ``labels``, ``masks`` ``[n, height, width]`` bool.
        """
        levels = self.extract_feat(batch_inputs)
        return self.predict_levels(levels, batch_data_samples, canvas_of(batch_inputs), rescale)

    def predict_levels(
        self,
        levels: Sequence[Tensor],
        samples: SampleList,
        canvas_size: tuple[int, int],
        rescale: bool = True,
    ) -> SampleList:
        """The objects from pyramid levels ``[B, M, H_i, W_i]`` of an input of (H, W) px."""
        metas = [sample.metainfo for sample in samples]
        *outputs, prototypes = self.outputs_of_levels(levels)
        results = self.bbox_head.predict_by_feat(*outputs, metas, canvas_size)
        results = self.mask_head.predict_by_feat(prototypes, results, metas, canvas_size, rescale)
        return self.add_pred_to_datasample(samples, results)

    def outputs_of_levels(self, levels: Sequence[Tensor]) -> Outputs:
        """What the heads say before any decision.

        Args:
            levels: ``[B, M, H_i, W_i]``.

        Returns:
            For each level logits ``[B, A * (C + 1), H_i, W_i]``, box deltas
            ``[B, A * 4, H_i, W_i]`` and coefficients ``[B, A * K, H_i, W_i]``; prototypes
            ``[B, K, h, w]``.
        """
        prototypes, _ = self.mask_head(levels)
        cls_scores, bbox_preds, coeff_preds = self.bbox_head(levels)
        return cls_scores, bbox_preds, coeff_preds, prototypes

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: SampleList | None = None
    ) -> Outputs:
        """The network alone, for tracing: no ground truth is asked for."""
        return self.outputs_of_levels(self.extract_feat(batch_inputs))


def canvas_of(batch_inputs: Tensor) -> tuple[int, int]:
    """(H, W) px of a batch ``[B, 3, H, W]``."""
    return batch_inputs.shape[2], batch_inputs.shape[3]
