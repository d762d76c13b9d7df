"""COCO's evaluation of boxes and masks for mmengine, without files in between."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from mmengine import dist, fileio
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from pycocotools import mask as run_lengths

from mmext.errors import InputError, MissingFileError
from mmext.formats.coco_values import canonical_id
from mmext.formats.json_files import parse_json
from mmext.metrics.coco.category_ids import categories_of, id_array, ids_of_labels
from mmext.metrics.coco.confusion import ImageBoxes, confusion_matrix
from mmext.metrics.coco.curves import (
    FALSE_DISCOVERY_IOUS,
    drawn_curves,
    false_discovery_rates,
    summarise,
)
from mmext.metrics.coco.evaluation import Backend, CocoGroundTruth, Detections
from mmext.metrics.coco.sample_truth import join_annotations, sample_annotations
from mmext.metrics.panoptic.quality import name_by_class
from mmext.metrics.sample_fields import numbers_labels_by_name, to_numpy
from mmext.registry import METRICS


@dataclass
class ImageResult:
    """What is kept of one image."""

    image: dict[str, Any]
    """``id``, ``width`` and ``height``."""
    labels: np.ndarray
    """``[n]``"""
    boxes_xywh: np.ndarray
    """``[n, 4]`` float64"""
    scores: np.ndarray
    """``[n]``"""
    mask_scores: np.ndarray
    """``[n]``"""
    masks: list[dict[str, Any]] | None
    annotations: list[dict[str, Any]] | None
    """The ground truth, without ``ann_file``."""


@METRICS.register_module()
class CocoDetectionMetric(BaseMetric):
    """Box and mask AP and AR, as COCO evaluates: 0..1, not rounded.

    Values of mmdet's ``CocoMetric`` under the same names (``bbox_mAP``, ``bbox_mAP_50``,
    ``bbox_mAP_s`` …), with ``bbox_AR_1`` … ``bbox_AR_l``; nan where there is nothing to
    find. Predictions are kept as arrays and never written to disk to be evaluated; ranks are
    merged by image, so that one that a sampler repeats counts once.

    Only images that were predicted are evaluated: a subset is not taken for missed objects. Of a
    panoptic data set the things are evaluated.

    Args:
        ann_file: COCO instances JSON; without it the ground truth is ``instances`` of the data
            samples, with the masks of the panoptic PNG if it is a panoptic data set.
        metric: ``'bbox'``, ``'segm'``, or both.
        classwise: also return ``bbox_mAP/{class}``.
        false_discovery: also return ``bbox_FD`` and its parts; see
            :func:`mmext.metrics.coco.curves.false_discovery_rates`.
        format_only: write the results files and evaluate nothing.
        outfile_prefix: write ``{outfile_prefix}.bbox.json`` …, in COCO's results format.
        backend: ``'hotcoco'``, ``'pycocotools'``, or ``'auto'``: the first that is there.
            The log names it.
        backend_args: file backend of mmengine for reading.
        collect_device: ``'cpu'`` or ``'gpu'``, how results travel between ranks.
        prefix: of the names of the returned values.
        collect_dir: shared folder for the collection, see mmengine's ``BaseMetric``.

    Attributes:
        pr_curves: of the last evaluation at an IoU of one half, name to recall and precision.

    Raises:
        InputError: an unknown metric or backend.
        MissingFileError: no ``ann_file`` there.
    """

    default_prefix = 'coco'

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = 'bbox',
        *,
        classwise: bool = False,
        false_discovery: bool = False,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend: str = 'auto',
        backend_args: dict | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.metrics: list[Any] = [metric] if isinstance(metric, str) else list(metric)
        if not self.metrics or not set(self.metrics) <= {'bbox', 'segm'}:
            raise InputError(f"metric: expected 'bbox', 'segm' or both, got {metric!r}")
        if backend not in get_args(Backend):
            raise InputError(f'backend: expected one of {get_args(Backend)}, got {backend!r}')
        if format_only and not outfile_prefix:
            raise InputError('format_only=True: set outfile_prefix, the path to write to')
        if ann_file and not fileio.exists(ann_file, backend_args=backend_args):
            raise MissingFileError(
                f'no annotation file at {os.path.abspath(ann_file)}: '
                'check ann_file of the evaluator'
            )
        self.ann_file, self.backend, self.backend_args = ann_file, backend, backend_args
        self.classwise, self.false_discovery = classwise, false_discovery
        self.format_only, self.outfile_prefix = format_only, outfile_prefix
        self.pr_curves: dict[str, Any] = {}
        self._boxes: list[ImageBoxes] | None = None
        self._file_truth: CocoGroundTruth | None = None
        self._dataset_size: int | None = None

    @property
    def classes(self) -> Sequence[str]:
        """Names of what is detected, in the order of the labels."""
        return self.dataset_meta.get('thing_classes', self.dataset_meta['classes'])

    @property
    def confusion_matrix(self) -> np.ndarray | None:
        """Of the boxes of the last evaluation, see :mod:`.confusion`; made when it is asked for."""
        boxes = self._boxes
        return None if boxes is None else confusion_matrix(boxes, len(self.classes))

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the predictions of a batch.

        Args:
            data_batch: not used.
            data_samples: dicts with ``img_id``, ``ori_shape``, ``pred_instances`` (``bboxes``
                ``[n, 4]`` x1 y1 x2 y2 in pixels of the original image, ``scores``,
                ``labels``; ``masks`` ``[n, H, W]`` or run-length codes, ``mask_scores``)
                and, without ``ann_file``, what
                :func:`~mmext.metrics.coco.sample_truth.sample_annotations` takes.
        """
        for sample in data_samples:
            self.results.append(self._image_result(sample))

    def evaluate(self, size: int) -> dict[str, float]:
        """Merges the ranks and evaluates.

        Args:
            size: number of images of the data set.

        Returns:
            The values by name, on every rank; ``{}`` with ``format_only``.
        """
        self._dataset_size = size
        # one part per rank: which images repeat is told by their ids, not their positions
        self.results: list[Any] = [self.results]
        return super().evaluate(dist.get_world_size())

    def compute_metrics(self, results: Sequence[Sequence[ImageResult]]) -> dict[str, float]:
        """Evaluates the images of all ranks, ``results[rank][image]``."""
        by_id = {image.image['id']: image for part in results for image in part}
        images = [by_id[i] for i in sorted(by_id, key=lambda i: (isinstance(i, str), i))]
        logger = MMLogger.get_current_instance()
        if len(images) != self._dataset_size:
            logger.warning(f'AP of {len(images)} images; the data set has {self._dataset_size}')
        truth = None if self.format_only and not self.ann_file else self._truth(images)
        category_ids = self._category_ids(truth)
        image_ids = [image.image['id'] for image in images]
        values: dict[str, float] = {}
        self.pr_curves, self._boxes = {}, None
        for iou_type in self.metrics:
            detections = self._detections(images, category_ids, iou_type)
            if self.outfile_prefix:
                self._write(detections, iou_type)
            if truth is not None and not self.format_only:
                values |= self._values(truth, detections, iou_type, image_ids, category_ids)
        if values and truth is not None:
            if 'bbox' in self.metrics:
                found = image_boxes(images, truth.records.annotations, category_ids)
                self._boxes = list(found)
            lines = [f'{name:24s}{100 * value:8.2f}' for name, value in values.items()]
            logger.info('\n'.join([f'COCO evaluation by {truth.backend}, in percent', *lines]))
        return values

    def _values(
        self,
        truth: CocoGroundTruth,
        detections: Detections,
        iou_type: Any,
        image_ids: list[int | str],
        category_ids: list[int | str],
    ) -> dict[str, float]:
        """The values of one kind of IoU, with its name in theirs."""
        arguments = (detections, iou_type, image_ids, category_ids)
        curves = truth.evaluate(*arguments)
        values = summarise(curves)
        kind = {'bbox': 'boxes', 'segm': 'masks'}[iou_type]
        most = 0 if self.pr_curves else 18  # classes have one curve each
        self.pr_curves |= drawn_curves(curves, self.classes, f'all, {kind}', most=most)
        if self.false_discovery:
            low = truth.evaluate(*arguments, ious=FALSE_DISCOVERY_IOUS)
            values |= false_discovery_rates(low)
        if self.classwise:
            by_class = curves.by_category()[None]
            values |= name_by_class(by_class, ['mAP'], self.classes)
        return {f'{iou_type}_{name}': value for name, value in values.items()}

    def _truth(self, images: Sequence[ImageResult]) -> CocoGroundTruth:
        backend: Any = self.backend
        if not self.ann_file:
            records = [image.image for image in images]
            annotations = [image.annotations or [] for image in images]
            return CocoGroundTruth(join_annotations(records, annotations, self.classes), backend)
        truth = self.file_truth()
        unknown = [i.image['id'] for i in images if i.image['id'] not in truth.records.images]
        if unknown:
            raise InputError(
                f'{self.ann_file}: no images with the ids {unknown[:8]} that were predicted'
            )
        return truth

    def file_truth(self) -> CocoGroundTruth:
        """The ground truth of ``ann_file``, read once."""
        if self._file_truth is None:
            assert self.ann_file is not None
            data = fileio.get(self.ann_file, backend_args=self.backend_args)
            backend: Any = self.backend
            content = parse_json(data, self.ann_file)
            self._file_truth = CocoGroundTruth(content, backend, self.ann_file)
        return self._file_truth

    @property
    def sample_keys(self) -> tuple[str, ...]:
        """What the data samples must carry."""
        return () if self.ann_file or self.format_only else ('instances',)

    def check_truth(self) -> None:
        """Look at ``ann_file`` before a run: has it the classes, and what is compared?

        Raises:
            InputError: it has not.
        """
        if self.ann_file and not self.format_only:
            truth = self.file_truth()
            self._category_ids(truth)
            for iou_type in self.metrics:
                truth.check_objects(iou_type)

    def _category_ids(self, truth: CocoGroundTruth | None) -> list[int | str]:
        """Category id of each label."""
        classes = self.classes
        if truth is None or not self.ann_file:
            return list(range(len(classes)))
        categories = truth.records.categories.values()
        by_name = numbers_labels_by_name(self.dataset_meta)
        return ids_of_labels(categories, classes, self.ann_file, by_name)

    def _detections(
        self, images: Sequence[ImageResult], category_ids: list[int | str], iou_type: str
    ) -> Detections:
        """The detections of all images in one table."""
        labels = np.concatenate([np.zeros(0, np.int64), *(i.labels for i in images)])
        ids = id_array(image.image['id'] for image in images)
        detections = Detections(
            np.repeat(ids, [len(image.labels) for image in images]),
            categories_of(labels, category_ids),
            np.concatenate([np.zeros((0, 4)), *(i.boxes_xywh for i in images)]),
            np.concatenate([np.zeros(0), *(i.scores for i in images)]),
        )
        if iou_type == 'bbox':
            return detections
        masks = [code for i in images for code in i.masks or ()]
        scores = np.concatenate([np.zeros(0), *(i.mask_scores for i in images)])
        return replace(detections, masks=masks, scores=scores)

    def _write(self, detections: Detections, iou_type: Any) -> None:
        """The results file."""
        path = Path(f'{self.outfile_prefix}.{iou_type}.json')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(detections.records(iou_type)))

    def _annotations(self, sample: Mapping[str, Any]) -> list[dict[str, Any]]:
        read = partial(fileio.get, backend_args=self.backend_args)
        return sample_annotations(sample, read if 'segm' in self.metrics else None)

    def _image_result(self, sample: Mapping[str, Any]) -> ImageResult:
        predicted = sample['pred_instances']
        boxes = to_numpy(predicted['bboxes']).astype(np.float64).reshape(-1, 4)
        boxes[:, 2:] -= boxes[:, :2]
        scores = to_numpy(predicted['scores']).astype(np.float64)
        height, width = sample['ori_shape'][:2]
        image_id = canonical_id(sample['img_id'], 'img_id')
        return ImageResult(
            image=dict(id=image_id, width=int(width), height=int(height)),
            labels=to_numpy(predicted['labels']).astype(np.int64),
            boxes_xywh=boxes,
            scores=scores,
            mask_scores=to_numpy(predicted.get('mask_scores', scores)).astype(np.float64),
            masks=_masks(sample) if 'segm' in self.metrics else None,
            annotations=None if self.ann_file or self.format_only else self._annotations(sample),
        )


def image_boxes(
    images: Sequence[ImageResult],
    annotations: Sequence[Mapping[str, Any]],
    category_ids: Sequence[int | str],
) -> Iterator[ImageBoxes]:
    """Boxes of each image beside those of its truth; categories without a label are left out."""
    label_of = {category: label for label, category in enumerate(category_ids)}
    truths: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in annotations:
        if annotation['category_id'] in label_of:
            truths.setdefault(annotation['image_id'], []).append(annotation)
    for image in images:
        own = truths.get(image.image['id'], [])
        yield ImageBoxes(
            image.boxes_xywh,
            image.labels,
            image.scores,
            np.array([a['bbox'] for a in own], np.float64).reshape(-1, 4),
            np.array([label_of[a['category_id']] for a in own], np.int64),
            np.array([bool(a.get('iscrowd')) for a in own], np.bool_),
        )


def _masks(sample: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run-length codes of the predicted masks."""
    if 'masks' not in sample['pred_instances']:
        raise InputError(f'image {sample["img_id"]}: no masks in pred_instances')
    masks = sample['pred_instances']['masks']
    if not isinstance(masks, list):
        stack = to_numpy(masks).astype(np.uint8)  # [n, H, W]
        masks = (
            run_lengths.encode(np.asfortranarray(stack.transpose(1, 2, 0))) if len(stack) else []
        )
    return [{**code, 'counts': _text(code['counts'])} for code in masks]


def _text(counts: Any) -> Any:
    return counts.decode() if isinstance(counts, bytes) else counts
