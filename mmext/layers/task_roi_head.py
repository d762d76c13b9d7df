"""The second stage of a detector with tasks of its own beside boxes and masks.

He et al., "Mask R-CNN", ICCV 2017: a branch for each question that is asked of a region. mmdet's
``StandardRoIHead`` has two, boxes and masks.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.registry import MODELS

_EDGE = 0.1


@MODELS.register_module()
class TaskRoIHead(StandardRoIHead):
    """mmdet's RoI head with any number of named tasks; in any of its two-stage detectors.

    A task is a module with two methods. ``loss(features, sampling_results, batch_gt_instances)``
    returns losses by name. ``predict(features, boxes, batch_img_metas, rescale)`` gets the boxes
    ``[n, 4]`` of each image, in px of the input, and returns for each image the fields of its
    objects by name; with ``rescale`` in px of the original images. A task that has ``mirror`` gets
    besides ``mirrored``, the features of the mirrored images, while :attr:`mirrored` holds them.
    The features of a task that says ``reads_images`` are the normalized images alone,
    ``[B, 3, H, W]``, which the detector shows (:mod:`mmext.layers.shown_images`).

    Args:
        tasks: name -> config of a task.
        regions_per_object: the tasks are trained on so many random boxes around each object, see
            :func:`boxes_around`: on all objects from the first step on, however good the proposals
            are. None: on the positive proposals that are sampled for boxes and masks.
        kwargs: of the host's head.

    Raises:
        InputError: two tasks have a loss or a field of one name; a number is below 1.
    """

    def __init__(
        self,
        tasks: Mapping[str, ConfigType],
        regions_per_object: int | None = None,
        **kwargs: ConfigType,
    ) -> None:
        super().__init__(**kwargs)
        if regions_per_object is not None and regions_per_object < 1:
            raise InputError(f'regions_per_object: expected 1 or more, got {regions_per_object}')
        self.regions_per_object = regions_per_object
        self.tasks = nn.ModuleDict({name: MODELS.build(task) for name, task in tasks.items()})
        self._sampled: list[SamplingResult] = []
        self.mirrored: Sequence[Tensor] | None = None
        self._images: Tensor | None = None

    def see(self, images: Tensor) -> None:
        """Take the images ``[B, 3, H, W]`` of the maps that come next, for tasks that read them.

        They are let go after one call of :meth:`loss` or :meth:`predict`.
        """
        reads = any(getattr(task, 'reads_images', False) for task in self.tasks.values())
        self._images = images if reads else None

    def bbox_loss(
        self, x: Sequence[Tensor], sampling_results: list[SamplingResult]
    ) -> dict[str, Tensor]:
        """The host's, of features ``[B, C, h, w]``; the samples are kept for the tasks."""
        self._sampled = sampling_results
        losses: dict[str, Tensor] = super().bbox_loss(x, sampling_results)
        return losses

    def loss(
        self,
        x: Sequence[Tensor],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        """The losses of boxes, masks and tasks.

        Args:
            x: levels ``[B, C, h, w]``.
            rpn_results_list: the proposals of each image.
            batch_data_samples: with ``gt_instances``.
        """
        losses: dict[str, Tensor] = super().loss(x, rpn_results_list, batch_data_samples)
        batch_gt_instances, *_ = unpack_gt_instances(batch_data_samples)
        sampled, self._sampled = self._sampled, []
        if self.regions_per_object is not None:
            sampled = [
                _resampled(own, *boxes_around(get_box_tensor(gt.bboxes), self.regions_per_object))
                for own, gt in zip(sampled, batch_gt_instances, strict=True)
            ]
        for name, task in self.tasks.items():
            seen = self._seen_by(name, task, x)
            own = cast(Any, task).loss(seen, sampled, batch_gt_instances)
            _refuse_twice(name, losses.keys() & own.keys())
            losses |= own
        self._images = None
        return losses

    def predict(
        self,
        x: Sequence[Tensor],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
        rescale: bool = False,
    ) -> InstanceList:
        """Boxes, masks, and the fields of the tasks.

        Args:
            x: levels ``[B, C, h, w]``.
            rpn_results_list: the proposals of each image.
            batch_data_samples: with the image meta.
            rescale: whether results are in px of the original images.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        results = self.predict_bbox(x, metas, rpn_results_list, self.test_cfg, rescale=False)
        boxes = [objects.bboxes.clone() for objects in results]
        tasks = cast('Mapping[str, Any]', self.tasks)
        fields = {
            name: task.predict(
                self._seen_by(name, task, x), boxes, metas, rescale, **self._views_of(task)
            )
            for name, task in tasks.items()
        }
        self._images = None
        if self.with_mask:
            results = self.predict_mask(x, metas, results, rescale=rescale)
        for number, (objects, meta) in enumerate(zip(results, metas, strict=True)):
            # the host's mask head divides them in place, or not, as it is patched
            factor = boxes[number].new_tensor(meta.get('scale_factor', (1.0, 1.0))).repeat(2)
            objects.bboxes = boxes[number] / factor if rescale else boxes[number]
            for name, own in fields.items():
                _refuse_twice(name, own[number].keys() & objects.keys())
                for field, values in own[number].items():
                    objects.set_field(values, field)
        return results

    def _seen_by(self, name: str, task: Any, x: Sequence[Tensor]) -> Sequence[Tensor]:
        """What a task looks at: the levels, or the images they were made of."""
        if not getattr(task, 'reads_images', False):
            return x
        if self._images is None or len(self._images) != len(x[0]):
            raise InputError(
                f'roi_head.tasks.{name} ({type(task).__name__}) reads images, which this detector '
                "does not show it: type='mmext.PixelRCNN' in the place of mmdet's does"
            )
        return [self._images]

    def _views_of(self, task: Any) -> dict[str, Sequence[Tensor]]:
        """The other views of the images that a task makes use of."""
        if self.mirrored is None or getattr(task, 'mirror', None) is None:
            return {}
        if getattr(task, 'reads_images', False):
            return dict(mirrored=[cast(Tensor, self._images).flip(-1)])
        return dict(mirrored=self.mirrored)


def boxes_around(gt_xyxy: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Random boxes about as far from objects as detections are.

    Each edge is moved by up to a tenth of the side, in or out: IoUs with the object are .8 in the
    mean and hardly ever below .65.

    Args:
        gt_xyxy: ``[n, 4]``, px.
        count: boxes of each object.

    Returns:
        ``[n count, 4]`` px and the object of each ``[n count]`` int64.
    """
    index = torch.arange(len(gt_xyxy), device=gt_xyxy.device).repeat_interleave(count)
    boxes = gt_xyxy[index].float()
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + sides * (torch.rand_like(boxes) - 0.5) * (2 * _EDGE), index


def _resampled(sampled: SamplingResult, boxes: Tensor, index: Tensor) -> SamplingResult:
    """The sample with other positive boxes ``[n, 4]`` of the objects ``[n]``."""
    found = copy.copy(sampled)
    found.pos_priors, found.pos_assigned_gt_inds = boxes, index
    return found


def _refuse_twice(task: str, names: set[str]) -> None:
    if names:
        raise InputError(f'roi_head.tasks.{task}: another part has {", ".join(sorted(names))} too')
