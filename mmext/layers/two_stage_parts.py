"""Two-stage detectors in parts: what sees whole maps, and what sees boxes.

``dense`` turns images into levels of the pyramid, RPN maps and, of panoptic models, class logits;
``boxes`` and ``masks`` take levels and any number of RoIs. Between them the host decodes and
suppresses.

Shape legend: N images, C channels, R RoIs (image, x1, y1, x2, y2) ``[R, 5]``, ``oh x ow`` bins.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.seg_heads.base_semantic_head import BaseSemanticHead
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.layers.network_parts import Backbone, ImageInput, NetworkPart, Runner, image_example
from mmext.layers.roi_pooling import PyramidPooling, roi_inputs, run_on_rois
from mmext.layers.second_stage_parts import (
    cascade_parts,
    task_parts,
    use_cascade_parts,
    use_task_parts,
)
from mmext.layers.shown_images import show_images
from mmext.layers.task_roi_head import TaskRoIHead


class DenseHeads(nn.Module):
    """What two-stage detectors compute of whole maps: RPN, and class logits if there are.

    Args:
        detector: with ``rpn_head`` and perhaps ``semantic_head``.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.rpn_head = detector.rpn_head
        self.semantic_head = getattr(detector, 'semantic_head', None)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Objectness ``[N, A, h_i, w_i]`` and deltas of every level, then the class logits."""
        scores, deltas = self.rpn_head(tuple(levels))
        return (*scores, *deltas, *self.semantic(levels))

    def semantic(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The class logits ``[N, K, h, w]``, if there are."""
        if self.semantic_head is None:
            return ()
        outputs = self.semantic_head(tuple(levels))
        return (outputs['seg_preds'] if isinstance(outputs, dict) else outputs,)

    def names(self, num_levels: int) -> tuple[str, ...]:
        """Of the outputs, in their order."""
        kinds = [f'rpn_{kind}_{i}' for kind in ('scores', 'deltas') for i in range(num_levels)]
        return (*kinds, *(() if self.semantic_head is None else ('semantic_logits',)))


class _DensePart(nn.Module):
    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.features, self.heads = Backbone(detector), DenseHeads(detector)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        levels = self.features(image)
        return (*levels, *self.heads(levels))


class _BoxPart(nn.Module):
    def __init__(self, roi_head: Any) -> None:
        super().__init__()
        self.roi_head = _with_pooling(roi_head)
        self.roi_head.mask_head = None

    def forward(self, *levels_and_rois: Tensor) -> tuple[Tensor, ...]:
        results = self.roi_head._bbox_forward(levels_and_rois[:-1], levels_and_rois[-1])
        return results['cls_score'], results['bbox_pred']


class _MaskPart(nn.Module):
    def __init__(self, roi_head: Any) -> None:
        super().__init__()
        self.roi_head = _with_pooling(roi_head)
        self.roi_head.bbox_head = None

    def forward(self, *levels_and_rois: Tensor) -> tuple[Tensor, ...]:
        results = self.roi_head._mask_forward(levels_and_rois[:-1], levels_and_rois[-1])
        return (results['mask_preds'],)


def _with_pooling(roi_head: Any) -> Any:
    copied = copy.copy(roi_head)  # its modules are shared, its table of modules is its own
    copied._modules = dict(roi_head._modules)
    for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
        if name in copied._modules:
            copied._modules[name] = PyramidPooling(copied._modules[name])
    return copied


def two_stage_parts(detector: Any, size_hw: tuple[int, int]) -> dict[str, NetworkPart]:
    """``dense``, ``boxes`` and, where there are masks, ``masks`` of a two-stage detector.

    Raises:
        InputError: its RoI head is of another kind.
    """
    module = _DensePart(detector)
    inputs = image_example(size_hw)
    levels = module.features(**inputs)
    names = (*(f'level_{i}' for i in range(len(levels))), *module.heads.names(len(levels)))
    dense = NetworkPart(module, inputs, names)
    return dict(dense=dense, **roi_parts(detector, levels, size_hw))


def roi_parts(
    detector: Any, levels: Sequence[Tensor], size_hw: tuple[int, int]
) -> dict[str, NetworkPart]:
    """``boxes`` and, where there are masks, ``masks``; they take levels and RoIs ``[R, 5]``.

    Of a cascade one for each stage; of a head with tasks one for each besides.
    """
    head = detector.roi_head
    if type(head) is CascadeRoIHead:
        return cascade_parts(head, levels, size_hw)
    if type(head) not in (StandardRoIHead, TaskRoIHead):
        raise InputError(
            f'{type(head).__name__} cannot be exported: StandardRoIHead, CascadeRoIHead and '
            'mmext.TaskRoIHead can'
        )
    inputs = roi_inputs(levels, head.bbox_roi_extractor.num_inputs, size_hw)
    parts = dict(boxes=NetworkPart(_BoxPart(head), inputs, ('class_logits', 'box_deltas')))
    if head.with_mask:
        inputs = roi_inputs(levels, head.mask_roi_extractor.num_inputs, size_hw)
        parts['masks'] = NetworkPart(_MaskPart(head), inputs, ('mask_logits',))
    if isinstance(head, TaskRoIHead):
        parts |= task_parts(head, levels, size_hw)
    return parts


class Levels(tuple):
    """Feature maps, with what another runtime has computed of them.

    Attributes:
        heads: outputs of the heads that see whole maps, by name.
    """

    heads: dict[str, Tensor]

    @classmethod
    def of(cls, names: Sequence[str], outputs: Sequence[Tensor]) -> Self:
        """Outputs named ``level_...``, or ``fused_level_...``, are the maps ``[N, C, h, w]``."""
        named = dict(zip(names, outputs, strict=True))
        levels = cls(value for name, value in named.items() if 'level_' in name)
        levels.heads = {k: v for k, v in named.items() if 'level_' not in k}
        return levels


def use_two_stage_parts(detector: Any, runners: Mapping[str, Runner]) -> None:
    """Let a two-stage detector predict with its parts run elsewhere, in place."""
    image_input, dense = ImageInput(detector.data_preprocessor), runners['dense']

    def extract_feat(batch_inputs: Tensor) -> Levels:
        show_images(detector, batch_inputs)
        return Levels.of(dense.output_names, dense(image_input.pixels(batch_inputs)))

    detector.extract_feat = extract_feat
    use_dense_heads(detector)
    use_roi_parts(detector.roi_head, runners)


def use_dense_heads(detector: Any) -> None:
    """The heads that see whole maps say what :class:`Levels` hold, in place."""

    def rpn_forward(levels: Levels) -> tuple[list[Tensor], list[Tensor]]:
        kinds = ('rpn_scores_', 'rpn_deltas_')
        scores, deltas = (
            [value for name, value in levels.heads.items() if name.startswith(kind)]
            for kind in kinds
        )
        return scores, deltas

    detector.rpn_head.forward = rpn_forward
    if getattr(detector, 'semantic_head', None) is not None:
        head = detector.semantic_head
        in_dict = issubclass(type(head), BaseSemanticHead)

        def semantic_forward(levels: Levels) -> Any:
            logits = levels.heads['semantic_logits']
            return dict(seg_preds=logits) if in_dict else logits

        head.forward = semantic_forward


def use_roi_parts(roi_head: Any, runners: Mapping[str, Runner]) -> None:
    """The RoI head gets its results elsewhere, in place."""
    if isinstance(roi_head, CascadeRoIHead):
        use_cascade_parts(roi_head, runners)
        return
    if isinstance(roi_head, TaskRoIHead):
        use_task_parts(roi_head, runners)
    num_box_levels = roi_head.bbox_roi_extractor.num_inputs

    def bbox_forward(levels: Sequence[Tensor], rois: Tensor) -> dict[str, Tensor]:
        scores, deltas = run_on_rois(runners['boxes'], levels[:num_box_levels], rois)
        return dict(cls_score=scores, bbox_pred=deltas)

    roi_head._bbox_forward = bbox_forward
    if 'masks' not in runners:
        return
    num_mask_levels = roi_head.mask_roi_extractor.num_inputs

    def mask_forward(levels: Sequence[Tensor], rois: Tensor) -> dict[str, Tensor]:
        (logits,) = run_on_rois(runners['masks'], levels[:num_mask_levels], rois)
        return dict(mask_preds=logits)

    roi_head._mask_forward = mask_forward
