"""Second stages with more than boxes and masks as parts: stages of a cascade, tasks.

Cai and Vasconcelos, "Cascade R-CNN", CVPR 2018: a head refines the boxes of the one before. The
tasks are those of :class:`.task_roi_head.TaskRoIHead`.

Shape legend: N images, C channels, R RoIs (image, x1, y1, x2, y2) ``[R, 5]``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mmext.layers.network_parts import NetworkPart, Runner
from mmext.layers.roi_pooling import PyramidPooling, roi_inputs, run_on_rois


class _RegionPart(nn.Module):
    """Levels and RoIs to what a head says of the regions."""

    def __init__(self, extractor: Any, head: Any, decoder: Any = None) -> None:
        super().__init__()
        self.pooling, self.head, self.decoder = PyramidPooling(extractor), head, decoder

    def regions(self, *levels_and_rois: Tensor) -> Tensor:
        """Features ``[R, C, oh, ow]``."""
        levels, rois = levels_and_rois[:-1], levels_and_rois[-1]
        if self.decoder is not None:
            levels = (self.decoder(levels),)
        pooled: Tensor = self.pooling(levels, rois)
        return pooled

    def forward(self, *levels_and_rois: Tensor) -> tuple[Tensor, ...]:
        outputs = self.head(self.regions(*levels_and_rois))
        if isinstance(outputs, Tensor):
            return (outputs,)
        return tuple(output for output in outputs if output is not None)


def cascade_parts(
    head: Any, levels: Sequence[Tensor], size_hw: tuple[int, int]
) -> dict[str, NetworkPart]:
    """``boxes_0``, ... and, where there are masks, ``masks_0``, ... of mmdet's cascade.

    Args:
        head: ``CascadeRoIHead``.
        levels: maps ``[N, C, h_i, w_i]`` of an example.
        size_hw: of its images, px.
    """
    parts = {}
    kinds: dict[str, tuple[str, tuple[str, ...]]] = {
        'boxes': ('bbox', ('class_logits', 'box_deltas'))
    }
    if head.with_mask:
        kinds['masks'] = ('mask', ('mask_logits',))
    for kind, (name, outputs) in kinds.items():
        extractors, heads = (getattr(head, f'{name}_{end}') for end in ('roi_extractor', 'head'))
        for stage, (extractor, own) in enumerate(zip(extractors, heads, strict=True)):
            inputs = roi_inputs(levels, extractor.num_inputs, size_hw)
            parts[f'{kind}_{stage}'] = NetworkPart(_RegionPart(extractor, own), inputs, outputs)
    return parts


def use_cascade_parts(head: Any, runners: Mapping[str, Runner]) -> None:
    """The stages of a cascade get their results elsewhere, in place."""

    def on_rois(kind: str, stage: int, levels: Sequence[Tensor], rois: Tensor) -> Any:
        extractors = head.bbox_roi_extractor if kind == 'boxes' else head.mask_roi_extractor
        levels = levels[: extractors[stage].num_inputs]
        return run_on_rois(runners[f'{kind}_{stage}'], levels, rois)

    # the host names the arguments
    def bbox_forward(stage: int, x: Sequence[Tensor], rois: Tensor) -> dict[str, Tensor]:
        scores, deltas = on_rois('boxes', stage, x, rois)
        return dict(cls_score=scores, bbox_pred=deltas)

    def mask_forward(stage: int, x: Sequence[Tensor], rois: Tensor) -> dict[str, Tensor]:
        return dict(mask_preds=on_rois('masks', stage, x, rois)[0])

    head._bbox_forward, head._mask_forward = bbox_forward, mask_forward


def task_parts(
    head: Any, levels: Sequence[Tensor], size_hw: tuple[int, int]
) -> dict[str, NetworkPart]:
    """``task_<name>`` of each task: levels ``[N, C, h_i, w_i]`` and RoIs to its maps.

    Args:
        head: :class:`.task_roi_head.TaskRoIHead`; a task has ``roi_extractor`` and turns regions
            into a tensor, or into a named tuple that its ``maps_type`` is the class of, after a
            ``decoder`` of the levels if it has one.
        levels: of an example.
        size_hw: of its images, px.
    """
    parts = {}
    for name, task in head.tasks.items():
        decoder = getattr(task, 'decoder', None)
        module = _RegionPart(task.roi_extractor, task, decoder)
        count = task.roi_extractor.num_inputs if decoder is None else len(levels)
        inputs = roi_inputs(levels, count, size_hw)
        names = _names(task(module.regions(*inputs.values())), f'{name}_')
        parts[f'task_{name}'] = NetworkPart(module, inputs, names)
    return parts


def _names(outputs: Any, prefix: str) -> tuple[str, ...]:
    """Of a tensor, or of the fields of a named tuple that are there."""
    if isinstance(outputs, Tensor):
        return (f'{prefix}maps',)
    return tuple(prefix + field for field, value in outputs._asdict().items() if value is not None)


def use_task_parts(head: Any, runners: Mapping[str, Runner]) -> None:
    """The tasks get the maps of their regions elsewhere, in place."""
    for name, task in head.tasks.items():
        _use_task_part(task, runners[f'task_{name}'], len(name) + 1)


def _use_task_part(task: Any, runner: Runner, prefix: int) -> None:
    decoder = getattr(task, 'decoder', None)
    kind = getattr(task, 'maps_type', None)

    def on_regions(levels_and_rois: tuple[Any, Tensor]) -> Any:
        levels, rois = levels_and_rois
        outputs = run_on_rois(runner, levels if decoder is None else levels[0], rois)
        if kind is None:
            return outputs[0]
        names = [name[prefix:] for name in runner.output_names]
        return kind(**dict(zip(names, outputs, strict=True)))

    task.roi_extractor.forward = lambda levels, rois: (levels, rois)
    task.forward = on_regions
    if decoder is not None:
        decoder.forward = tuple
